"""Real processes, real sockets on the loopback, real workers: few tests, each bounded in time."""
