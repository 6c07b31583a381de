-- What the book of record knows of orders at brokers, for whoever closes accounts out.

-- name: ours
-- Of these tags ($1) those of sessions that trade at broker $2 through one of the logins $3.
SELECT o.tag FROM orders o JOIN trades t USING (pos_id) JOIN sessions s USING (session_id)
WHERE o.tag = ANY($1) AND s.spec ->> 'broker' = $2 AND coalesce(s.spec ->> 'credential', $2) = ANY($3);

-- name: unanswered
-- Orders there whose answer never came: they may be at the broker, or still arrive. Where it lists the instrument.
SELECT o.tag, o.role, b.broker_segment, b.token
FROM orders o JOIN trades t USING (pos_id) JOIN sessions s USING (session_id)
LEFT JOIN broker_instruments b ON b.broker = $1 AND b.instrument_id = t.instrument_id
WHERE o.state IN ('PENDING', 'UNKNOWN') AND t.state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED')
  AND s.spec ->> 'broker' = $1 AND coalesce(s.spec ->> 'credential', $1) = ANY($2);

-- name: heard
-- How long ago an instance of execution said that it lives, in seconds; null where none ever did.
SELECT extract(epoch FROM now() - max(heartbeat_at))::double precision FROM execution_instances;
