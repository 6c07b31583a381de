"""The gateway's statements."""
