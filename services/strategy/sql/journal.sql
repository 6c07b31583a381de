-- name: insert_decisions
-- One decision per strategy, symbol and instant; a redelivered candle decides the same again and changes nothing.
INSERT INTO decisions (session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
ON CONFLICT DO NOTHING;

-- name: insert_signals
-- Returns the ids that are new: only those are emitted.
INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
     AS new (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id;
