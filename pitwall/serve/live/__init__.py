"""The WebSocket: what each client gets of the stream, at the pace at which it reads."""
