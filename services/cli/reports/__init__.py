"""What a run came to: read from the book, compared with the broker's, shown."""
