"""Ratios against peers measured in the same process. `make bench` runs all; nothing here is a test."""
