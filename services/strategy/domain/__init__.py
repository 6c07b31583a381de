"""What the strategy service decides, without I/O: positions as of an instant, decisions, signals, rebuilt state."""
