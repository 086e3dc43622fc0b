"""The tests of PitWall."""
