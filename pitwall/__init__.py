"""PitWall, a real-time race telemetry server on Twisted."""

__version__ = "0.1.0"
