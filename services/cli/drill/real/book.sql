-- name: positions
SELECT pos_id FROM trades WHERE session_id = $1 ORDER BY created_ns, pos_id;

-- name: fills
SELECT f.fill_id, f.order_id, f.pos_id, f.quantity, f.price_paise, f.charges_paise, f.ts_event_ns
FROM fills f JOIN trades t ON t.pos_id = f.pos_id WHERE t.session_id = $1;
