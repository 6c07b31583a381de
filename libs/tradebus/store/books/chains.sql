-- Option chains, one row for each index and expiry.

-- name: put
INSERT INTO option_chains (idx, expiry, payload, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (idx, expiry) DO UPDATE SET payload = excluded.payload, updated_at = excluded.updated_at;

-- name: of_expiry
SELECT idx, expiry, payload, updated_at FROM option_chains WHERE idx = $1 AND expiry = $2;

-- name: nearest
-- The nearest expiry that had not passed when a chain of the index was last seen.
SELECT idx, expiry, payload, updated_at FROM option_chains
WHERE idx = $1
ORDER BY expiry < (SELECT max(updated_at) AT TIME ZONE 'Asia/Kolkata' FROM option_chains WHERE idx = $1)::date, expiry
LIMIT 1;

-- name: newest
-- Of each index the one that was seen last; of those seen together, the nearest expiry.
SELECT DISTINCT ON (idx) idx, expiry, payload, updated_at FROM option_chains
WHERE idx = ANY($1::text[])
ORDER BY idx, updated_at DESC, expiry;
