"""What the sandbox lists."""
