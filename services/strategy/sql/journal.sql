-- name: write_decisions
-- A row of arrays for each session ($1, JSON), as `columns_of` makes them.
INSERT INTO decision_groups (session_id, ts_last_ns, strategies, actions, reasons, strategy, instrument_id, ts_event_ns,
                             action, reason, price_paise, leg_groups)
SELECT session_id, ts_last_ns, strategies, actions, reasons, strategy, instrument_id, ts_event_ns, action, reason,
       price_paise, leg_groups
FROM jsonb_to_recordset($1::text::jsonb) AS g (
    session_id text, ts_last_ns bigint, strategies text[], actions text[], reasons text[], strategy integer[],
    instrument_id integer[], ts_event_ns bigint[], action integer[], reason integer[], price_paise bigint[],
    leg_groups text[]
);

-- name: record
-- Decisions as above ($1) and signals ($2 … $8), these also as events of their stream ($9), in one statement.
WITH decided AS (
    INSERT INTO decision_groups (session_id, ts_last_ns, strategies, actions, reasons, strategy, instrument_id,
                                 ts_event_ns, action, reason, price_paise, leg_groups)
    SELECT session_id, ts_last_ns, strategies, actions, reasons, strategy, instrument_id, ts_event_ns, action, reason,
           price_paise, leg_groups
    FROM jsonb_to_recordset($1::text::jsonb) AS g (
        session_id text, ts_last_ns bigint, strategies text[], actions text[], reasons text[], strategy integer[],
        instrument_id integer[], ts_event_ns bigint[], action integer[], reason integer[], price_paise bigint[],
        leg_groups text[]
    )
), new AS (
    SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body::jsonb
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
         AS row (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
), signalled AS (
    INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
    SELECT event_id, session_id, strategy, symbol, type, ts_event_ns, body FROM new
    ON CONFLICT (event_id) DO NOTHING
)
INSERT INTO events (event_id, stream, type, session_id, pos_id, ts_event_ns, body)
SELECT event_id, $9, type, session_id, body ->> 'pos_id', ts_event_ns, body FROM new
ON CONFLICT (event_id) DO NOTHING;

-- name: decisions
SELECT session_id, strategy, instrument_id AS instrument, ts_event_ns, action, reason, price_paise, group_id
FROM decisions
WHERE session_id = $1 ORDER BY ts_event_ns, strategy, instrument_id;

-- name: signal_ids
SELECT event_id FROM signals WHERE session_id = $1 ORDER BY ts_event_ns, event_id;
