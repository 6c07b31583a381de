"""Orders, from the request to the trade."""
