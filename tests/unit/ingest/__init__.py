"""Tests of ``pitwall.ingest``."""
