"""Recordings for a running server: files cut into batches, sent by HTTP, and what became of them."""
