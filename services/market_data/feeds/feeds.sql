-- name: take_shard
-- The producer's right to a shard, for as long as its connection lives: whoever dies lets go.
SELECT pg_try_advisory_lock($1);

-- name: leave_shard
SELECT pg_advisory_unlock($1);

-- name: read_feed
SELECT identity, spec, status FROM feeds WHERE shard = $1;

-- name: put_feed
INSERT INTO feeds (shard, identity, spec, status) VALUES ($1, $2, $3, $4)
ON CONFLICT (shard) DO UPDATE SET
    identity = excluded.identity, spec = excluded.spec, status = excluded.status, updated_at = now();

-- name: put_status
UPDATE feeds SET status = $2, updated_at = now() WHERE shard = $1;

-- name: a_session_runs
SELECT EXISTS (SELECT FROM sessions WHERE status IN ('RUNNING', 'PAUSED'));
