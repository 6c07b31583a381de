-- One row per broker account: what keeps positions from being opened in it.

-- name: read
SELECT blocked, degraded_ns, waits_for_person, unread_since_ns, unread_seen_ns, profit FROM account_standings
WHERE account = $1;

-- name: note_profit
INSERT INTO account_standings (account, profit) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET profit = excluded.profit;

-- name: block
INSERT INTO account_standings (account, blocked) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET blocked = excluded.blocked;

-- name: unread
INSERT INTO account_standings (account, unread_since_ns, unread_seen_ns) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE
SET unread_since_ns = excluded.unread_since_ns, unread_seen_ns = excluded.unread_seen_ns;

-- name: reached
UPDATE account_standings SET unread_since_ns = NULL, unread_seen_ns = NULL
WHERE account = $1 AND unread_since_ns IS NOT NULL;

-- name: degrade
-- The first loss stands.
INSERT INTO account_standings (account, degraded_ns) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET degraded_ns = coalesce(account_standings.degraded_ns, excluded.degraded_ns);

-- name: wait_for_person
UPDATE account_standings SET waits_for_person = true WHERE account = $1 AND degraded_ns IS NOT NULL;

-- name: recovered
UPDATE account_standings SET degraded_ns = NULL
WHERE account = $1 AND degraded_ns IS NOT NULL AND NOT waits_for_person RETURNING 1;

-- name: acted
-- Not what was lost after the person spoke ($2).
UPDATE account_standings SET degraded_ns = NULL, waits_for_person = false
WHERE account = $1 AND degraded_ns <= $2 RETURNING 1;
