"""What a telemetry point is: channels, the point itself, and the tracks. Pure."""
