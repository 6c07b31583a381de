-- From when to when an account's order book could not be read, on the machine's clock; null: it was read since. What is
-- unread for too long is counted over lives.
ALTER TABLE account_standings ADD COLUMN unread_since_ns bigint, ADD COLUMN unread_seen_ns bigint;
