"""What the sandbox's instruments are worth, and how that moves."""
