"""Speed measured from outside, on one machine in one run: ``python -m benchmarks``."""
