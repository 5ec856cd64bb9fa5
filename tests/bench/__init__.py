"""Measurements: `make bench`, or `python -m tests.bench [names]`. Prints figures and ratios; asserts nothing."""
