-- The audit of requests to brokers: added to, and read in the order of its chains.

-- name: head
SELECT seq, hash FROM broker_audit WHERE account = $1 ORDER BY seq DESC LIMIT 1;

-- name: heads
SELECT DISTINCT ON (account) account, seq, hash FROM broker_audit ORDER BY account, seq DESC;

-- name: known
SELECT exchange_id FROM broker_audit WHERE exchange_id = ANY($1::text[]);

-- name: append
INSERT INTO broker_audit (account, seq, previous_hash, hash, exchange_id, sent_by, method, url, body, sent_at,
                          session_id, pos_id, status, reply, reply_bytes, reply_sha256, problem, answered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18);

-- name: rows
SELECT account, seq, previous_hash, hash, exchange_id, sent_by, method, url, body, sent_at, session_id, pos_id, status,
       reply, reply_bytes, reply_sha256, problem, answered_at
FROM broker_audit WHERE account = $1 AND seq > $2 ORDER BY seq LIMIT $3;

-- name: sent_between
SELECT account, seq, previous_hash, hash, exchange_id, sent_by, method, url, body, sent_at, session_id, pos_id, status,
       reply, reply_bytes, reply_sha256, problem, answered_at
FROM broker_audit
WHERE sent_at >= $1 AND sent_at < $2 AND (sent_at, exchange_id) > ($3, $4)
ORDER BY sent_at, exchange_id LIMIT $5;
