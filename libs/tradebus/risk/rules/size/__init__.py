"""What a limit leaves of the size that was asked for: each gives its room, the smallest decides (`fitting`)."""
