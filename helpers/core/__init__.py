"""Conventions, fingerprints, files, the cache and the scheduling of tasks: what all wings use, without images."""
