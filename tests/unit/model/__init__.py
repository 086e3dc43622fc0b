"""Tests of what a point is."""
