"""The race computation in Ampoule worker processes."""
