"""Programs that write what the project ships: features, trials, measurements. Run with ``python -m makers.NAME``."""
