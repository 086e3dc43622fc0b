"""Tests of ``pitwall.serve``."""
