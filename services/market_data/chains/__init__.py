"""Option chains: read from the broker, kept in the book."""
