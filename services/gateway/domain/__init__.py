"""What the gateway decides, without I/O: is a command well formed, and what does it do to a session."""
