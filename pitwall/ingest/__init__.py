"""The doors points come in by. Doors do not import one another."""
