-- Signals that people and other programs have asked for, and what they may close.

-- name: find
SELECT body::text AS body FROM signals WHERE event_id = $1;

-- name: add
INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb);

-- name: position
SELECT pos_id, session_id, strategy, symbol, instrument_id AS instrument, side, expected_price_paise
FROM trades WHERE pos_id = $1 AND user_id = $2;

-- name: held_by
-- The newest trade of user $1, strategy $2 and symbol $3 that is not over; else what it asked for last, in a session
-- that is alive.
WITH alive AS (
    SELECT session_id FROM sessions WHERE user_id = $1 AND status NOT IN ('STOPPED', 'FAILED')
), held AS (
    SELECT pos_id, session_id, strategy, symbol, instrument_id AS instrument, side, expected_price_paise
    FROM trades
    WHERE user_id = $1 AND strategy = $2 AND symbol = $3 AND state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED')
    ORDER BY created_ns DESC, pos_id DESC LIMIT 1
), asked AS (
    SELECT body ->> 'pos_id', session_id, strategy, symbol, (body ->> 'instrument')::integer, body ->> 'side',
           (body ->> 'price_paise')::bigint
    FROM signals
    WHERE session_id IN (SELECT session_id FROM alive) AND strategy = $2 AND symbol = $3 AND type = 'ENTRY_SIGNAL'
    ORDER BY ts_event_ns DESC, event_id DESC LIMIT 1
)
SELECT * FROM held UNION ALL SELECT * FROM asked WHERE NOT EXISTS (SELECT FROM held);

-- name: waits
SELECT coalesce(state -> 'waiting' ? $2, false) FROM risk_state WHERE session_id = $1;
