"""What each client of the WebSocket gets."""
