"""Bytes to points and points to bytes. Pure."""
