"""What the strategy service reads from bus and book, and writes to them."""
