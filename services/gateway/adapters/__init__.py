"""The gateway's outside: the book of record and the bus."""
