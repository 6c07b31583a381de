"""The address of the sandbox itself, for tests, demos and people."""
