"""Tests of ``pitwall.client``."""
