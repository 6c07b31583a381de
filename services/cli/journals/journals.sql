-- What `tradebus export` writes. $1 and $2: the window [from, to) in event time, nanoseconds; $3: a user, or NULL.

-- name: orders
SELECT o.placed_ns, o.updated_ns, t.user_id, t.session_id, t.strategy, t.symbol, i.underlying, o.role,
       o.transaction_type, o.order_type, o.quantity, o.price_paise, o.trigger_paise, o.state, o.filled_quantity,
       o.filled_value_paise, o.broker_order_id, o.tag, o.order_id, o.pos_id, o.reason,
       (a.body ->> 'ts_event_ns')::bigint AS signal_ns
FROM orders o
JOIN trades t USING (pos_id)
JOIN instruments i USING (instrument_id)
LEFT JOIN intents a ON a.intent_id = t.intent_id
WHERE o.placed_ns >= $1 AND o.placed_ns < $2 AND ($3::text IS NULL OR t.user_id = $3)
ORDER BY o.placed_ns, o.order_id;

-- name: fills
SELECT f.ts_event_ns, t.user_id, t.session_id, t.strategy, t.symbol, o.role, o.transaction_type, f.quantity,
       f.price_paise, f.charges_paise, f.fill_id, f.order_id, f.pos_id
FROM fills f
JOIN orders o USING (order_id)
JOIN trades t ON t.pos_id = f.pos_id
WHERE f.ts_event_ns >= $1 AND f.ts_event_ns < $2 AND ($3::text IS NULL OR t.user_id = $3)
ORDER BY f.ts_event_ns, f.fill_id;

-- name: signals
SELECT d.ts_event_ns, s.user_id, d.session_id, s.mode, d.strategy, i.symbol, d.action, d.reason, d.price_paise,
       d.group_id, g.event_id, (g.body ->> 'confidence')::float8 AS confidence,
       (g.body ->> 'stop_paise')::bigint AS stop_paise, (g.body ->> 'target_paise')::bigint AS target_paise
FROM decisions d
JOIN sessions s USING (session_id)
JOIN instruments i USING (instrument_id)
LEFT JOIN signals g
    ON g.session_id = d.session_id AND g.ts_event_ns = d.ts_event_ns AND g.strategy = d.strategy AND g.symbol = i.symbol
WHERE d.ts_event_ns >= $1 AND d.ts_event_ns < $2 AND ($3::text IS NULL OR s.user_id = $3)
ORDER BY d.ts_event_ns, s.user_id, d.session_id, d.strategy, i.symbol, g.event_id;

-- name: trades
SELECT t.opened_ns, t.closed_ns, t.user_id, t.session_id, t.strategy, t.symbol, t.side, t.state, t.entry_quantity,
       t.entry_value_paise, t.exit_quantity, t.exit_value_paise, t.charges_paise, t.net_pnl_paise, t.r_multiple,
       t.mae_r, t.mfe_r, t.exit_reason, t.group_id, t.pos_id
FROM trades t
WHERE t.entry_quantity > 0 AND t.opened_ns >= $1 AND t.opened_ns < $2 AND ($3::text IS NULL OR t.user_id = $3)
ORDER BY t.opened_ns, t.pos_id;

-- name: events
SELECT e.body
FROM events e
LEFT JOIN sessions s USING (session_id)
WHERE e.ts_event_ns >= $1 AND e.ts_event_ns < $2 AND ($3::text IS NULL OR s.user_id = $3)
ORDER BY e.ts_event_ns, e.event_id;

-- name: signal_lines
SELECT g.body
FROM signals g
JOIN sessions s USING (session_id)
WHERE g.ts_event_ns >= $1 AND g.ts_event_ns < $2 AND ($3::text IS NULL OR s.user_id = $3) AND g.type NOT LIKE 'ARM\_%'
ORDER BY g.ts_event_ns, g.event_id;

-- name: arm_lines
SELECT g.body
FROM signals g
JOIN sessions s USING (session_id)
WHERE g.ts_event_ns >= $1 AND g.ts_event_ns < $2 AND ($3::text IS NULL OR s.user_id = $3) AND g.type LIKE 'ARM\_%'
ORDER BY g.ts_event_ns, g.event_id;
