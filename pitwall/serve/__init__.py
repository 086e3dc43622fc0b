"""The door points and insights go out by: REST, the dashboard and, in ``live``, the WebSocket."""
