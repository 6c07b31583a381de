-- Signals that people and other programs have asked for, and what they may close.

-- name: find
SELECT body::text AS body FROM signals WHERE event_id = $1;

-- name: add
INSERT INTO signals (event_id, session_id, strategy, symbol, type, ts_event_ns, body)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb);

-- name: position
SELECT session_id, strategy, symbol, instrument_id, side, expected_price_paise
FROM trades WHERE pos_id = $1 AND user_id = $2;
