-- name: symbols
SELECT symbol FROM instruments ORDER BY instrument_id;

-- name: summary
SELECT s.user_id, count(t.pos_id) FILTER (WHERE t.state = 'CLOSED' AND t.entry_quantity > 0) AS closed,
       count(t.pos_id) FILTER (WHERE t.entry_quantity > t.exit_quantity) AS open,
       coalesce(sum(t.net_pnl_paise), 0)::bigint AS net_pnl_paise
FROM sessions s LEFT JOIN trades t USING (session_id) GROUP BY s.user_id ORDER BY s.user_id;

-- name: orders
SELECT o.tag, o.state, o.transaction_type, o.quantity, o.filled_quantity, o.broker_order_id
FROM orders o JOIN trades t USING (pos_id) WHERE t.session_id = $1 ORDER BY o.placed_ns, o.tag;

-- name: fills
SELECT o.tag, f.quantity, f.price_paise
FROM fills f JOIN orders o USING (order_id) JOIN trades t ON t.pos_id = o.pos_id WHERE t.session_id = $1;

-- name: held
SELECT i.instrument_key AS key,
       sum(CASE t.side WHEN 'LONG' THEN 1 ELSE -1 END * (t.entry_quantity - t.exit_quantity))::bigint AS net
FROM trades t JOIN instruments i USING (instrument_id)
WHERE t.session_id = $1 AND t.entry_quantity > 0 GROUP BY i.instrument_key;
