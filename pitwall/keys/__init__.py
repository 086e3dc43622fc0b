"""Keys: who may send, read and run the server; no network here."""
