-- What the HTTP API shows. Every view takes ($1 session_id, $2 user_id, $3 limit); null does not filter. Newest first.

-- name: sessions
-- `halted` is the rule by which risk lets nothing in until the next day, `halted_parts` that of each strategy and symbol
-- which is out alone; `mismatches` is what its broker account and the
-- book disagree about since the last agreement, as execution told it.
SELECT s.session_id, s.user_id, s.status, s.mode, s.created_ns, s.ended_ns, s.reason, s.spec,
       (SELECT r.state ->> 'halted_rule' FROM risk_state r WHERE r.session_id = s.session_id) AS halted,
       (SELECT r.state -> 'halted_parts' FROM risk_state r WHERE r.session_id = s.session_id) AS halted_parts,
       coalesce((SELECT CASE e.type WHEN 'RECONCILE_MISMATCH' THEN e.body -> 'differences' END FROM events e
                 WHERE e.session_id = s.session_id AND e.pos_id IS NULL
                   AND e.type IN ('RECONCILE_MISMATCH', 'RECONCILED')
                 ORDER BY e.ts_event_ns DESC, e.event_id DESC LIMIT 1), '[]') AS mismatches,
       (SELECT count(*) FROM trades t WHERE t.session_id = s.session_id AND t.entry_quantity > 0) AS trades,
       (SELECT coalesce(sum(net_pnl_paise), 0)::bigint FROM trades t WHERE t.session_id = s.session_id) AS net_pnl_paise
FROM sessions s
WHERE ($1::text IS NULL OR s.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
ORDER BY s.created_ns DESC, s.session_id DESC LIMIT $3;

-- name: portfolio
SELECT s.session_id, s.user_id, s.status, (s.spec ->> 'capital_paise')::bigint AS capital_paise,
       coalesce((SELECT sum(net_pnl_paise)::bigint FROM trades t WHERE t.session_id = s.session_id), 0)
           AS realised_net_pnl_paise
FROM sessions s
WHERE ($1::text IS NULL OR s.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
  AND ($1::text IS NOT NULL OR s.status NOT IN ('STOPPED', 'FAILED'))
ORDER BY s.created_ns DESC, s.session_id DESC LIMIT $3;

-- name: positions
-- The open positions of the sessions in $1, marked at the last closed candle.
SELECT t.session_id, t.user_id, t.pos_id, t.strategy, t.symbol, t.side, t.state,
       t.entry_quantity - t.exit_quantity AS quantity,
       t.entry_value_paise, t.entry_quantity, t.stop_paise, t.target_paise, t.opened_ns, t.group_id,
       (SELECT close_paise FROM candles_1m c WHERE c.instrument_id = t.instrument_id ORDER BY ts DESC LIMIT 1)
           AS last_price_paise
FROM trades t
WHERE t.session_id = ANY($1) AND t.entry_quantity > t.exit_quantity
ORDER BY t.opened_ns, t.pos_id;

-- name: trades
SELECT trade_id, pos_id, session_id, user_id, strategy, symbol, side, state, quantity_requested, entry_quantity,
       entry_value_paise, exit_quantity, exit_value_paise, charges_paise, initial_stop_paise, stop_paise, target_paise,
       exit_reason, created_ns, opened_ns, closed_ns, net_pnl_paise, r_multiple, mae_r, mfe_r, trace_id, group_id
FROM trades
WHERE ($1::text IS NULL OR session_id = $1) AND ($2::text IS NULL OR user_id = $2)
ORDER BY trade_id DESC LIMIT $3;

-- name: orders
SELECT o.order_id, o.pos_id, t.session_id, t.user_id, t.strategy, t.symbol, o.tag, o.role, o.transaction_type,
       o.order_type, o.quantity, o.price_paise, o.trigger_paise, o.state, o.broker_order_id, o.filled_quantity,
       o.filled_value_paise, o.placed_ns, o.updated_ns, o.reason
FROM orders o JOIN trades t USING (pos_id)
WHERE ($1::text IS NULL OR t.session_id = $1) AND ($2::text IS NULL OR t.user_id = $2)
ORDER BY o.placed_ns DESC, o.order_id DESC LIMIT $3;

-- name: signals
SELECT g.event_id, g.session_id, s.user_id, g.strategy, g.symbol, g.type, g.ts_event_ns,
       g.body ->> 'side' AS side, (g.body ->> 'price_paise')::bigint AS price_paise,
       (g.body ->> 'stop_paise')::bigint AS stop_paise, (g.body ->> 'target_paise')::bigint AS target_paise,
       (g.body ->> 'confidence')::double precision AS confidence, g.body ->> 'reason' AS reason,
       g.body ->> 'pos_id' AS pos_id, g.body ->> 'trace_id' AS trace_id
FROM signals g JOIN sessions s USING (session_id)
WHERE ($1::text IS NULL OR g.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
ORDER BY g.ts_event_ns DESC, g.event_id DESC LIMIT $3;

-- name: decisions
SELECT d.session_id, s.user_id, d.strategy, i.symbol, d.ts_event_ns, d.action, d.reason, d.price_paise
FROM decisions d JOIN sessions s USING (session_id) JOIN instruments i USING (instrument_id)
WHERE ($1::text IS NULL OR d.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
ORDER BY d.ts_event_ns DESC, d.session_id, d.strategy, i.symbol LIMIT $3;

-- name: risk
SELECT r.event_id, r.session_id, s.user_id, r.signal_id, r.pos_id, r.verdict, r.rule, r.quantity, r.ts_event_ns,
       r.body ->> 'symbol' AS symbol, r.body ->> 'detail' AS detail
FROM risk_decisions r JOIN sessions s USING (session_id)
WHERE ($1::text IS NULL OR r.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
ORDER BY r.ts_event_ns DESC, r.event_id DESC LIMIT $3;

-- name: performance
SELECT session_id, user_id, strategy, count(*) AS trades,
       count(*) FILTER (WHERE net_pnl_paise > 0) AS winners,
       count(*) FILTER (WHERE net_pnl_paise < 0) AS losers,
       sum(net_pnl_paise + charges_paise)::bigint AS gross_pnl_paise,
       sum(charges_paise)::bigint AS charges_paise,
       sum(net_pnl_paise)::bigint AS net_pnl_paise,
       coalesce(sum(net_pnl_paise) FILTER (WHERE net_pnl_paise > 0), 0)::bigint AS profit_paise,
       coalesce(sum(net_pnl_paise) FILTER (WHERE net_pnl_paise < 0), 0)::bigint AS loss_paise,
       avg(r_multiple) AS average_r, avg(mae_r) AS average_mae_r, avg(mfe_r) AS average_mfe_r
FROM trades
WHERE state = 'CLOSED' AND entry_quantity > 0
  AND ($1::text IS NULL OR session_id = $1) AND ($2::text IS NULL OR user_id = $2)
GROUP BY session_id, user_id, strategy ORDER BY session_id DESC, strategy LIMIT $3;

-- name: version
SELECT current_setting('server_version');

-- name: limits
-- Changes of limits while running.
SELECT change_id, session_id, user_id, changed_ns, changed_by, strategy, field, before_value::text AS before_value,
       after_value::text AS after_value, widens, reason
FROM limit_changes
WHERE ($1::text IS NULL OR session_id = $1) AND ($2::text IS NULL OR user_id = $2)
ORDER BY change_id DESC LIMIT $3;

-- name: shared_limits
-- Changes of limits over several sessions: of no session, no user and no strategy.
SELECT change_id, scope, NULL::text AS session_id, NULL::text AS user_id, NULL::text AS strategy, changed_ns, changed_by,
       field, before_value::text AS before_value, after_value::text AS after_value, widens, reason
FROM shared_limit_changes WHERE $1::text IS NULL AND $2::text IS NULL
ORDER BY change_id DESC LIMIT $3;

-- name: headroom
-- How far the sessions that are alive are from their limits.
SELECT h.session_id, s.user_id, h.as_of_ns, h.body::text AS body
FROM risk_headroom h JOIN sessions s USING (session_id)
WHERE ($1::text IS NULL OR h.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
  AND s.status NOT IN ('STOPPED', 'FAILED')
ORDER BY s.created_ns DESC, h.session_id DESC LIMIT $3;

-- name: approvals
-- Entries that wait for a person, in sessions that are alive.
SELECT s.session_id, s.user_id, w.key AS approval_id, (w.value ->> 'asked_ns')::bigint AS asked_ns,
       (w.value ->> 'expires_ns')::bigint AS expires_ns, w.value::text AS body
FROM risk_state r JOIN sessions s USING (session_id)
CROSS JOIN LATERAL jsonb_each(coalesce(r.state -> 'waiting', '{}')) w
WHERE ($1::text IS NULL OR s.session_id = $1) AND ($2::text IS NULL OR s.user_id = $2)
  AND s.status NOT IN ('STOPPED', 'FAILED')
ORDER BY asked_ns DESC, approval_id DESC LIMIT $3;

-- name: order_budgets
-- What has left of each broker account: of no session and no user.
SELECT account, NULL::text AS session_id, NULL::text AS user_id, body FROM order_budgets
WHERE $1::text IS NULL AND $2::text IS NULL ORDER BY account LIMIT $3;

-- name: accounts
-- What keeps positions from being opened in each broker account, and its profit today: of no session and no user.
SELECT account, NULL::text AS session_id, NULL::text AS user_id, blocked, profit FROM account_standings
WHERE $1::text IS NULL AND $2::text IS NULL ORDER BY account LIMIT $3;
