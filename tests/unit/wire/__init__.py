"""Tests of bytes to points and back."""
