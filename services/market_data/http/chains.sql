-- name: expiry_chain
SELECT expiry, payload, updated_at FROM option_chains WHERE idx = $1 AND expiry = $2;

-- name: nearest_chain
-- The nearest expiry that had not passed when its chain was last seen.
SELECT expiry, payload, updated_at FROM option_chains
WHERE idx = $1
ORDER BY expiry < (SELECT max(updated_at) AT TIME ZONE 'Asia/Kolkata' FROM option_chains WHERE idx = $1)::date, expiry
LIMIT 1;

-- name: feed
SELECT identity, spec, status, updated_at FROM feeds ORDER BY shard LIMIT 1;
