-- name: insert_decisions
-- One decision per strategy, symbol and instant; a redelivered candle decides the same again and changes nothing.
INSERT INTO decisions (session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
ON CONFLICT DO NOTHING;

-- name: record
-- Decisions ($1 … $7) and signals ($8 … $14), these also as events of their stream ($15), in one statement.
WITH decided AS (
    INSERT INTO decisions (session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise)
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
    ON CONFLICT DO NOTHING
), new AS (
    SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body::jsonb
    FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[])
         AS row (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
), signalled AS (
    INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
    SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body FROM new
    ON CONFLICT (event_id) DO NOTHING
)
INSERT INTO events (event_id, stream, type, session_id, pos_id, ts_event_ns, body)
SELECT event_id, $15, type, session_id, body ->> 'pos_id', ts_event_ns, body FROM new
ON CONFLICT (event_id) DO NOTHING;
