-- name: take
-- For as long as the connection lives: whoever dies lets go.
SELECT pg_try_advisory_lock($1);

-- name: leave
SELECT pg_advisory_unlock($1);
