"""How large a trade is asked for, what it needs of margin, and how far its instrument moves in a day."""
