"""Closing a broker account out from its own books: what to do (`plan`), and what exits look like (`terms`)."""
