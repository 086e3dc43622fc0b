"""What goes wrong, done on purpose, and what it costs the others: ``python -m benchmarks.faults``."""
