"""What the strategy service reads from Postgres and writes to it."""
