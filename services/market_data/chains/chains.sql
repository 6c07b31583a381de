-- name: put_chain
INSERT INTO option_chains (idx, expiry, payload, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (idx, expiry) DO UPDATE SET payload = excluded.payload, updated_at = excluded.updated_at;
