"""What the market data behind an entry is worth."""
