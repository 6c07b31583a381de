"""What the day has lost: of the session, of a strategy, in a symbol."""
