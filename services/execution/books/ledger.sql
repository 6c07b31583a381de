-- name: open_trade
-- One statement, one round trip, one durable commit: the lock, the inbox row, the trade, its entry order, the order's
-- history and the intent. A row comes back only where the intent is taken for the first time.
-- `claimed`: an exit that came first holds the position's claim, and then nothing here is written.
WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($1)),
claimed AS (
    INSERT INTO inbox (consumer, message_id) SELECT 'execution.position', $4 FROM locked
    ON CONFLICT DO NOTHING RETURNING message_id
), first AS (
    INSERT INTO inbox (consumer, message_id) SELECT $2, $3 FROM claimed ON CONFLICT DO NOTHING RETURNING message_id
), trade AS (
    INSERT INTO trades (pos_id, session_id, user_id, strategy, symbol, instrument_id, side, state, quantity_requested,
        expected_price_paise, initial_stop_paise, stop_paise, target_paise, lot_size, tick_size_paise,
        max_slippage_pct, order_timeout_seconds, exit_reason, trace_id, intent_id, created_ns, closed_ns, as_of_ns,
        owner, group_id)
    SELECT $4, $5, $6, $7, $8, $9, $10, $11, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17, $18,
        $19, $20, $21, $22, message_id, $23::bigint, $24::bigint, $25::bigint, $26, $44 FROM first
    RETURNING trade_id
), entry AS (
    INSERT INTO orders (order_id, pos_id, tag, role, sequence, transaction_type, order_type, quantity, price_paise,
        state, placed_ns, updated_ns, reason)
    SELECT $27, $4, $28, 'ENTRY', 1, $29, $30, $31::bigint, $32::bigint, $33, $34::bigint, $35::bigint, $36 FROM first
), history AS (
    INSERT INTO order_history (order_id, from_state, to_state, event, ts_event_ns)
    SELECT line.* FROM first, unnest($37::text[], $38::text[], $39::text[], $40::text[], $41::bigint[]) AS line
), intent AS (
    INSERT INTO intents (intent_id, pos_id, session_id, kind, outcome, ts_event_ns, body)
    SELECT message_id, $4, $5, 'ENTRY', $42, $23::bigint, $43 FROM first
)
SELECT trade_id, $4::text AS pos_id FROM trade

-- name: claim_unopened
-- Keeps a position ($2) from being opened. No row where it is in the book. The caller holds the position's lock.
WITH claimed AS (
    INSERT INTO inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
)
SELECT 1 WHERE NOT EXISTS (SELECT FROM trades WHERE pos_id = $2)

-- name: reopen_claim
-- Gives a claim back that an exit took before its entry. No row where there is none, or the trade is in the book.
DELETE FROM inbox WHERE consumer = $1 AND message_id = $2
    AND NOT EXISTS (SELECT FROM trades WHERE pos_id = $2)
RETURNING 1

-- name: update_trade
-- A change of a trade in one statement: nothing of it where the trade is at another version by now. $1 position, $2 the
-- version it was decided on, $3 … $21 the trade, $22 … $39 its orders, $40 … $44 their history, $45 … $51 fills;
-- $52 … $59 emit's.
WITH saved AS (
    UPDATE trades SET state = $3, entry_quantity = $4, entry_value_paise = $5, exit_quantity = $6,
        exit_value_paise = $7, charges_paise = $8, stop_paise = $9, highest_paise = $10, lowest_paise = $11,
        exit_reason = $12, opened_ns = $13, closed_ns = $14, net_pnl_paise = $15, r_multiple = $16, mae_r = $17,
        mfe_r = $18, as_of_ns = $19, owner = $20, missing_quantity = $21, version = version + 1
    WHERE pos_id = $1 AND version = $2
    RETURNING NULL::text[] AS every
), placed AS (
    INSERT INTO orders (order_id, pos_id, tag, role, sequence, transaction_type, order_type, quantity, price_paise,
        trigger_paise, state, broker_order_id, filled_quantity, filled_value_paise, placed_ns, updated_ns, reason,
        moves)
    SELECT line.* FROM saved, unnest($22::text[], $23::text[], $24::text[], $25::text[], $26::int[], $27::text[],
        $28::text[], $29::bigint[], $30::bigint[], $31::bigint[], $32::text[], $33::text[], $34::bigint[],
        $35::bigint[], $36::bigint[], $37::bigint[], $38::text[], $39::int[]) AS line
    ON CONFLICT (order_id) DO UPDATE SET quantity = excluded.quantity, price_paise = excluded.price_paise,
        order_type = excluded.order_type, trigger_paise = excluded.trigger_paise, state = excluded.state,
        broker_order_id = excluded.broker_order_id, filled_quantity = excluded.filled_quantity,
        filled_value_paise = excluded.filled_value_paise, updated_ns = excluded.updated_ns, reason = excluded.reason,
        moves = excluded.moves
), moved AS (
    INSERT INTO order_history (order_id, from_state, to_state, event, ts_event_ns)
    SELECT line.* FROM saved, unnest($40::text[], $41::text[], $42::text[], $43::text[], $44::bigint[]) AS line
), filled AS (
    INSERT INTO fills (fill_id, order_id, pos_id, quantity, price_paise, charges_paise, ts_event_ns)
    SELECT line.* FROM saved, unnest($45::text[], $46::text[], $47::text[], $48::bigint[], $49::bigint[], $50::bigint[],
        $51::bigint[]) AS line
    ON CONFLICT (order_id, fill_id) DO NOTHING
)
SELECT $1::text AS pos_id, EXISTS (SELECT FROM saved) AS is_saved,
       array_agg(e.outbox_id ORDER BY e.outbox_id) AS outbox_ids,
       array_agg(e.emitted_id ORDER BY e.outbox_id) AS emitted_ids
-- Lateral: emit runs once for the row of `saved`, and not at all where there is none.
FROM saved CROSS JOIN LATERAL emit($52, $53, $54, $55, $56, $57, $58, $59, saved.every) e

-- name: insert_intent
INSERT INTO intents (intent_id, pos_id, session_id, kind, outcome, ts_event_ns, body)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (intent_id) DO NOTHING

-- name: untaken
-- Approvals of sessions that are not over (those that are have been waited for) without an intent.
SELECT e.event_id, e.body FROM events e JOIN sessions s USING (session_id)
WHERE s.status NOT IN ('STOPPED', 'FAILED') AND e.type IN ('ENTRY_APPROVED', 'ENTRY_REDUCED', 'EXIT_APPROVED')
  AND NOT EXISTS (SELECT FROM intents i WHERE i.intent_id = e.body ->> 'intent_id')
ORDER BY e.ts_event_ns, e.type = 'EXIT_APPROVED', e.event_id

-- name: save_extremes
UPDATE trades t SET highest_paise = e.highest, lowest_paise = e.lowest, as_of_ns = e.as_of_ns
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
     AS e(pos_id, version, highest, lowest, as_of_ns)
WHERE t.pos_id = e.pos_id AND t.version = e.version

-- name: select_trade
SELECT t.*, i.kind, i.market_class, i.underlying, i.expiry, i.strike_paise, i."right", i.freeze_quantity, i.terms_on
FROM trades t JOIN instruments i USING (instrument_id) WHERE t.pos_id = $1

-- name: select_orders
SELECT * FROM orders WHERE pos_id = $1
ORDER BY CASE role WHEN 'ENTRY' THEN 0 WHEN 'STOP' THEN 1 ELSE 2 END, sequence

-- name: select_fill_ids
SELECT fill_id FROM fills WHERE pos_id = $1

-- name: select_alive
SELECT pos_id, session_id FROM trades WHERE owner = $1 AND state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED') ORDER BY pos_id

-- name: select_sessions_alive
SELECT DISTINCT session_id FROM trades WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED')

-- name: select_growth_unanswered
-- A stop grows by each fill of its entries ($1) after the one it was placed for, and every answer is in its history.
SELECT ts_event_ns AS at_ns, quantity FROM fills
WHERE order_id = ANY($1) AND ts_event_ns > $3 AND NOT EXISTS (
    SELECT FROM order_history WHERE order_id = $2 AND event = 'MODIFIED' AND ts_event_ns >= fills.ts_event_ns
)
ORDER BY ts_event_ns DESC LIMIT 1

-- name: select_trail_unanswered
-- When the stop ($1) was last to trail ($2), where no answer ($3) came after it.
SELECT max(ts_event_ns) FROM order_history asked WHERE order_id = $1 AND event = $2 AND NOT EXISTS (
    SELECT FROM order_history WHERE order_id = $1 AND event = ANY($3) AND ts_event_ns >= asked.ts_event_ns
)

-- name: leaves
-- The row's lock holds up who takes the trade ($1) over until this is to be seen, or finds that he has it.
WITH mine AS (SELECT pos_id FROM trades WHERE pos_id = $1 AND owner = $2 FOR SHARE)
INSERT INTO order_history (order_id, from_state, to_state, event, ts_event_ns, detail)
SELECT $3, 'PENDING', 'PENDING', $4, $5::bigint, jsonb_build_object('at', extract(epoch FROM clock_timestamp()))
FROM mine RETURNING 1

-- name: has_left
SELECT EXISTS (SELECT FROM order_history WHERE order_id = $1 AND event = $2)

-- name: left_seconds_ago
-- The market's time of a departure says little: its clock and ours may stand apart, or go at another speed.
SELECT extract(epoch FROM clock_timestamp())::float8 - min((detail ->> 'at')::float8)
FROM order_history WHERE order_id = $1 AND event = $2

-- name: select_pos_of_tag
SELECT pos_id FROM orders WHERE tag = $1

-- name: heartbeat
INSERT INTO execution_instances (name, heartbeat_at) VALUES ($1, now())
ON CONFLICT (name) DO UPDATE SET heartbeat_at = now()

-- name: adopt_orphans
UPDATE trades SET owner = $1, version = version + 1
WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED') AND owner IN (
    SELECT name FROM execution_instances WHERE heartbeat_at < now() - make_interval(secs => $2)
)
RETURNING pos_id
