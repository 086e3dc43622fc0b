"""Tests of ``pitwall.keys``."""
