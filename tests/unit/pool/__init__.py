"""Tests of the workers, without processes."""
