"""Quick tests: no network, no clock, no disk to write on."""
