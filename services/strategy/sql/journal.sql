-- name: insert_decisions
-- One decision per strategy, symbol and instant; a redelivered candle decides the same again and changes nothing.
INSERT INTO decisions (session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
ON CONFLICT DO NOTHING;

-- name: record
-- Decisions ($1 … $7), signals ($8 … $14) and the new signals' messages ($15 … $22, emit's) in one statement.
WITH decided AS (
    INSERT INTO decisions (session_id, strategy, instrument_id, ts_event_ns, action, reason, price_paise)
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
    ON CONFLICT DO NOTHING
), signalled AS (
    INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
    SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body::jsonb
    FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[])
         AS new (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
), fresh AS (
    SELECT array_agg(event_id) AS ids FROM signalled HAVING count(*) > 0
)
SELECT array_agg(e.outbox_id ORDER BY e.outbox_id) AS outbox_ids,
       array_agg(e.emitted_id ORDER BY e.outbox_id) AS emitted_ids
-- Lateral: emit runs for the ids that are new, and not at all where none is.
FROM fresh CROSS JOIN LATERAL emit($15, $16, $17, $18, $19, $20, $21, $22, fresh.ids) e;
