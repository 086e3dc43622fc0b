"""Tests of the race simulator."""
