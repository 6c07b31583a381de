-- The feeds of the market-data streams, one row for each shard.

-- name: read
SELECT identity, spec, status FROM feeds WHERE shard = $1;

-- name: begin
INSERT INTO feeds (shard, identity, spec, status) VALUES ($1, $2, $3, $4)
ON CONFLICT (shard) DO UPDATE SET
    identity = excluded.identity, spec = excluded.spec, status = excluded.status, updated_at = now();

-- name: progress
UPDATE feeds SET status = $2, updated_at = now() WHERE shard = $1;
