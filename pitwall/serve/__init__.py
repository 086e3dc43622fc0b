"""The doors points and insights go out by: WebSocket and REST."""
