"""Every decoder of what comes from outside, given what nobody would send: ``python -m benchmarks.fuzz``."""
