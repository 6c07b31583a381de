-- name: feed_spec
SELECT spec FROM feeds ORDER BY shard LIMIT 1;

-- name: newest_chains
-- Of each underlying the one that was seen last; of those seen together, the nearest expiry.
SELECT DISTINCT ON (idx) idx, expiry, payload, updated_at FROM option_chains
WHERE idx = ANY($1::text[])
ORDER BY idx, updated_at DESC, expiry;
