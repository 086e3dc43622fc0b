"""Tests of ``pitwall.importer``."""
