-- What a run did, from the book of record. $1: the sessions reported on.

-- name: sessions
SELECT session_id, user_id, status, spec, reason FROM sessions ORDER BY user_id, created_ns, session_id;

-- name: signals
SELECT session_id, type, count(*) AS number FROM signals WHERE session_id = ANY($1) GROUP BY session_id, type;

-- name: decisions
SELECT session_id, count(*) AS number FROM decisions WHERE session_id = ANY($1) GROUP BY session_id;

-- name: answers
SELECT strategy, action, reason, count(*) AS number, min(ts_event_ns) AS first_ns
FROM decisions WHERE session_id = ANY($1) GROUP BY strategy, action, reason;

-- name: refusals
-- $2 the verdicts that refuse; of each user, strategy, symbol and rule how many, when first, and what that one said.
SELECT s.user_id, coalesce(r.body ->> 'strategy', '') AS strategy, coalesce(r.body ->> 'symbol', '') AS symbol,
       r.verdict, r.rule, count(*) AS number, min(r.ts_event_ns) AS first_ns,
       (array_agg(coalesce(r.body ->> 'detail', '') ORDER BY r.ts_event_ns, (r.body ->> 'detail') COLLATE "C"))[1]
           AS detail
FROM risk_decisions r JOIN sessions s USING (session_id)
WHERE r.session_id = ANY($1) AND r.verdict = ANY($2)
GROUP BY s.user_id, 2, 3, r.verdict, r.rule;

-- name: verdicts
SELECT session_id, verdict, rule, count(*) AS number FROM risk_decisions
WHERE session_id = ANY($1) GROUP BY session_id, verdict, rule;

-- name: orders
SELECT t.session_id, count(*) AS number FROM orders o JOIN trades t USING (pos_id)
WHERE t.session_id = ANY($1) GROUP BY t.session_id;

-- name: fills
SELECT t.session_id, count(*) AS number FROM fills f JOIN trades t USING (pos_id)
WHERE t.session_id = ANY($1) GROUP BY t.session_id;

-- name: charged_fills
SELECT t.session_id, s.spec, i.kind, f.order_id, o.transaction_type, f.quantity, f.price_paise, f.charges_paise,
       f.ts_event_ns
FROM fills f JOIN orders o USING (order_id) JOIN trades t ON t.pos_id = f.pos_id
     JOIN sessions s ON s.session_id = t.session_id JOIN instruments i ON i.instrument_id = t.instrument_id
WHERE t.session_id = ANY($1) ORDER BY f.order_id, f.ts_event_ns, f.fill_id;

-- name: results
SELECT session_id,
       count(*) FILTER (WHERE entry_quantity > 0) AS trades,
       count(*) FILTER (WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED')) AS open_trades,
       count(*) FILTER (WHERE net_pnl_paise > 0) AS winners,
       coalesce(sum(charges_paise), 0)::bigint AS charges_paise,
       coalesce(sum(net_pnl_paise), 0)::bigint AS net_pnl_paise
FROM trades WHERE session_id = ANY($1) GROUP BY session_id;

-- name: bars
-- $1 symbols, $2 and $3 the window [from, to) as nanoseconds.
SELECT count(*) FROM candles_1m c JOIN instruments i USING (instrument_id)
WHERE i.symbol = ANY($1)
  AND c.ts >= to_timestamp($2::bigint / 1000000000) AND c.ts < to_timestamp($3::bigint / 1000000000);

-- name: trade_rows
SELECT t.pos_id, t.session_id, t.user_id, t.strategy, t.symbol, t.side, t.state, t.entry_quantity, t.entry_value_paise,
       t.exit_quantity, t.exit_value_paise, t.charges_paise, t.net_pnl_paise, t.r_multiple, t.mae_r, t.mfe_r,
       t.exit_reason, t.opened_ns, t.closed_ns, t.group_id
FROM trades t WHERE t.session_id = ANY($1) AND t.entry_quantity > 0
ORDER BY t.opened_ns, t.user_id, t.strategy, t.symbol, t.pos_id;

-- name: log_decisions
SELECT d.ts_event_ns, s.user_id, d.strategy, i.symbol, d.action, d.reason, d.price_paise
FROM decisions d JOIN sessions s USING (session_id) JOIN instruments i USING (instrument_id)
WHERE d.session_id = ANY($1);

-- name: log_risk
SELECT r.ts_event_ns, s.user_id, coalesce(r.body ->> 'strategy', '') AS strategy,
       coalesce(r.body ->> 'symbol', '') AS symbol, r.verdict, r.rule, r.quantity,
       coalesce(r.body ->> 'detail', '') AS detail
FROM risk_decisions r JOIN sessions s USING (session_id)
WHERE r.session_id = ANY($1);

-- name: log_fills
SELECT f.ts_event_ns, t.user_id, t.strategy, t.symbol, o.role, o.transaction_type, f.quantity, f.price_paise
FROM fills f JOIN orders o USING (order_id) JOIN trades t ON t.pos_id = f.pos_id
WHERE t.session_id = ANY($1);

-- name: log_trades
SELECT coalesce(t.closed_ns, 0) AS ts_event_ns, t.user_id, t.strategy, t.symbol, t.side, t.entry_quantity,
       t.net_pnl_paise
FROM trades t WHERE t.session_id = ANY($1) AND t.entry_quantity > 0;
