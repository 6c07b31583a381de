-- What each sink of alerts has been told. The types are those of `services.gateway.alerts.wording` (a test says so).

-- name: hold
-- Holds the sink for instance $3 until $4, unless another does at $2; from when on it is told of events. No row: it is
-- another's.
INSERT INTO alert_sinks (sink, since_ns, held_by, held_until_ns) VALUES ($1, $2, $3, $4)
ON CONFLICT (sink) DO UPDATE SET held_by = excluded.held_by, held_until_ns = excluded.held_until_ns
WHERE alert_sinks.held_by = excluded.held_by OR alert_sinks.held_until_ns <= $2
RETURNING since_ns;

-- name: pending
-- Alerts since $2 that sink $1 was not told of, in the order in which they were said.
SELECT e.event_id, e.body::text AS body FROM events e
WHERE e.type IN ('POSITION_UNPROTECTED', 'RECONCILE_MISMATCH', 'KILL_SWITCH', 'SESSION_FAILED', 'SESSION_HALTED',
                 'SQUARE_OFF_FORCED', 'STRATEGY_FAILED', 'ENTRY_AWAITS_APPROVAL')
  AND (e.body ->> 'ts_recorded_ns')::bigint >= $2
  AND NOT EXISTS (SELECT FROM alert_deliveries d WHERE d.sink = $1 AND d.event_id = e.event_id)
ORDER BY (e.body ->> 'ts_recorded_ns')::bigint, e.event_id LIMIT $3;

-- name: move_on
UPDATE alert_sinks SET since_ns = greatest(since_ns, $2) WHERE sink = $1;

-- name: told
INSERT INTO alert_deliveries (sink, event_id, told_ns) SELECT $1, one, $3 FROM unnest($2::text[]) one
ON CONFLICT DO NOTHING;
