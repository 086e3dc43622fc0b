"""Tests of the race computation."""
