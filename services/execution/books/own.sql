-- A list is `IN (SELECT unnest($1))`, never `= ANY($1)`: plans are made once, perhaps while a new database is empty, and
-- would then hold every row of a table against every member of the list.

-- name: orders_of_account
-- Ours in the broker's book ($1 tags), and those of the account's sessions ($2) that have not ended.
-- Each half by its own index: one condition over both tables reads every order of every session there ever was.
WITH of_account AS (
    SELECT order_id FROM orders WHERE tag IN (SELECT unnest($1::text[]))
    UNION
    SELECT o.order_id FROM trades t JOIN orders o USING (pos_id)
    WHERE t.session_id IN (SELECT unnest($2::text[])) AND o.state NOT IN ('FILLED', 'CANCELLED', 'REJECTED')
)
SELECT t.pos_id, o.order_id, t.session_id, o.tag, o.role, o.state, o.quantity, o.filled_quantity, o.trigger_paise,
       o.broker_order_id, t.instrument_id AS instrument, t.owner
FROM of_account JOIN orders o USING (order_id) JOIN trades t USING (pos_id)
ORDER BY o.order_id

-- name: tag_of
-- The newest of these sessions' ($2) orders of that number: brokers may number alike, and a broker again.
SELECT o.tag FROM orders o JOIN trades t USING (pos_id)
WHERE o.broker_order_id = $1 AND t.session_id IN (SELECT unnest($2::text[]))
ORDER BY o.placed_ns DESC LIMIT 1

-- name: net
SELECT instrument_id, sum(CASE side WHEN 'LONG' THEN 1 ELSE -1 END * (entry_quantity - exit_quantity))::bigint AS net
FROM trades WHERE session_id IN (SELECT unnest($1::text[])) AND entry_quantity <> exit_quantity GROUP BY instrument_id

-- name: traded
-- `created_ns` of a trade is the market's time. A session without a login of its own has the broker's name for one.
SELECT t.instrument_id,
       sum(CASE t.side WHEN 'LONG' THEN 1 ELSE -1 END * (t.exit_value_paise - t.entry_value_paise))::bigint AS cash_paise,
       sum(CASE t.side WHEN 'LONG' THEN 1 ELSE -1 END * (t.entry_quantity - t.exit_quantity))::bigint AS net
FROM trades t JOIN sessions s USING (session_id)
WHERE s.spec ->> 'broker' = $1 AND coalesce(s.spec ->> 'credential', $1) = $2 AND t.created_ns >= $3
  AND t.entry_quantity > 0
GROUP BY t.instrument_id

-- name: held
SELECT pos_id, instrument_id AS instrument, created_ns, entry_quantity - exit_quantity AS open_quantity,
       exit_reason IS NOT NULL AS is_leaving,
       ARRAY(SELECT tag FROM orders o WHERE o.pos_id = t.pos_id AND o.role = 'ENTRY' ORDER BY sequence) AS entry_tags
FROM trades t WHERE session_id IN (SELECT unnest($1::text[])) AND entry_quantity <> exit_quantity ORDER BY pos_id

-- name: ended
SELECT session_id FROM sessions WHERE session_id IN (SELECT unnest($1::text[])) AND status IN ('STOPPED', 'FAILED')

-- name: finished
SELECT session_id FROM sessions s WHERE session_id IN (SELECT unnest($1::text[])) AND status = 'STOPPING'
AND NOT EXISTS (SELECT 1 FROM trades t
                WHERE t.session_id = s.session_id AND t.state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED'))

-- name: seen_clear
INSERT INTO session_participants (session_id, service) VALUES ($1, $2) ON CONFLICT DO NOTHING
