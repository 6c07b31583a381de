"""What was said to a broker and what it answered, as rows of a chain: pure, without a place to keep them."""
