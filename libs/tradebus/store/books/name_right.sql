-- name: take_shard
-- The producer's right to a shard, for as long as its connection lives: whoever dies lets go.
SELECT pg_try_advisory_lock($1);

-- name: leave_shard
SELECT pg_advisory_unlock($1);
