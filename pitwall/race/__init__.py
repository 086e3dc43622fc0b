"""The race computed from numeric rows. Pure numpy."""
