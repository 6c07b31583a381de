-- Sessions. Rows come as (session_id, user_id, status, spec, created_ns, reason, ended_ns).

-- name: one
SELECT session_id, user_id, status, spec, created_ns, reason, ended_ns FROM sessions WHERE session_id = $1;

-- name: several
SELECT session_id, user_id, status, spec, created_ns, reason, ended_ns FROM sessions WHERE session_id = ANY($1);

-- name: alive
-- Without the spec, which never changes and is read once.
SELECT session_id, user_id, status, created_ns, reason, ended_ns FROM sessions
WHERE status NOT IN ('STOPPED', 'FAILED') ORDER BY created_ns, session_id;

-- name: alive_of
SELECT session_id, user_id, status, spec, created_ns, reason, ended_ns FROM sessions
WHERE user_id = $1 AND status NOT IN ('STOPPED', 'FAILED');

-- name: latest_of
SELECT session_id, user_id, status, spec, created_ns, reason, ended_ns FROM sessions
WHERE user_id = $1 ORDER BY created_ns DESC, session_id DESC LIMIT 1;

-- name: of_command
SELECT session_id, user_id, status, spec, created_ns, reason, ended_ns FROM sessions
WHERE user_id = $1 AND command_id = $2;

-- name: command_seen
SELECT EXISTS (SELECT 1 FROM inbox WHERE consumer = $1 AND message_id = $2);

-- name: insert
INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)
VALUES ($1, $2, 'STARTING', $3, $4, $5, $6);

-- name: set_status
UPDATE sessions SET status = $2, reason = coalesce($3, reason) WHERE session_id = $1;

-- name: begin
UPDATE sessions SET status = $2 WHERE session_id = $1 AND status = 'STARTING' RETURNING session_id;

-- name: end
-- Only from the status it was seen in: another gateway may have been first.
UPDATE sessions SET status = $2, ended_ns = $3, reason = coalesce($4, reason)
WHERE session_id = $1 AND status = $5 RETURNING session_id;

-- name: participate
INSERT INTO session_participants (session_id, service) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: give_up
UPDATE sessions SET reason = $2 WHERE session_id = $1 AND status = 'STARTING';

-- name: changing
SELECT s.session_id, s.user_id, s.status, s.spec, s.created_ns, s.reason, s.ended_ns,
       coalesce(array_agg(p.service) FILTER (WHERE p.service IS NOT NULL), '{}') AS participants
FROM sessions s LEFT JOIN session_participants p USING (session_id)
WHERE s.status IN ('STARTING', 'STOPPING')
GROUP BY s.session_id ORDER BY s.created_ns, s.session_id;

-- name: taken_up
-- The status of one that is STARTING does not say whether it is paused: there the last command does.
SELECT s.session_id, s.spec,
       CASE s.status
           WHEN 'STARTING' THEN coalesce(last_command.type = 'PAUSE_TRADING', false)
           ELSE s.status = 'PAUSED'
       END AS paused
FROM sessions s
JOIN session_participants p ON p.session_id = s.session_id AND p.service = $1
LEFT JOIN LATERAL (
    SELECT e.type FROM events e
    WHERE e.session_id = s.session_id AND e.stream = $2 AND e.type IN ('PAUSE_TRADING', 'RESUME_TRADING')
    ORDER BY e.ts_event_ns DESC, e.event_id DESC LIMIT 1
) last_command ON true
WHERE s.status IN ('STARTING', 'RUNNING', 'PAUSED')
ORDER BY s.created_ns, s.session_id;

-- name: standing
SELECT s.session_id, s.status, p.service IS NOT NULL AS is_taken_up,
       CASE s.status
           WHEN 'STARTING' THEN coalesce(last_command.type = 'PAUSE_TRADING', false)
           ELSE s.status = 'PAUSED'
       END AS paused
FROM sessions s
LEFT JOIN session_participants p ON p.session_id = s.session_id AND p.service = $1
LEFT JOIN LATERAL (
    SELECT e.type FROM events e
    WHERE s.status = 'STARTING' AND e.session_id = s.session_id AND e.stream = $2
      AND e.type IN ('PAUSE_TRADING', 'RESUME_TRADING')
    ORDER BY e.ts_event_ns DESC, e.event_id DESC LIMIT 1
) last_command ON true
WHERE s.status NOT IN ('STOPPED', 'FAILED')
ORDER BY s.created_ns, s.session_id;

-- name: position_reports
SELECT body::text AS body FROM events
WHERE session_id = $1 AND stream = $2 AND type = ANY($3)
ORDER BY ts_event_ns, event_id;

-- name: pause
UPDATE sessions SET status = 'PAUSED', reason = $2 WHERE session_id = $1 AND status = 'RUNNING';

-- name: last_pause_command
SELECT type FROM events
WHERE session_id = $1 AND stream = $2 AND type IN ('PAUSE_TRADING', 'RESUME_TRADING')
ORDER BY ts_event_ns DESC, event_id DESC LIMIT 1;

-- name: last_report
SELECT body::text AS body FROM events
WHERE session_id = $1 AND stream = $2 AND type = ANY($3)
ORDER BY ts_event_ns DESC, event_id DESC LIMIT 1;

-- name: unfinished
-- With none of these nothing more can happen in the session.
SELECT (SELECT count(*) FROM events e
        WHERE e.session_id = $1 AND e.type = 'STOP_TRADING'
          AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.consumer = 'risk' AND i.message_id = e.event_id))
     + (SELECT count(*) FROM trades
        WHERE session_id = $1 AND state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED'))
     + (SELECT count(*) FROM events e
        WHERE e.session_id = $1 AND e.type IN ('ENTRY_APPROVED', 'ENTRY_REDUCED', 'EXIT_APPROVED')
          AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.intent_id = e.body ->> 'intent_id'));

-- name: awaits_look
SELECT EXISTS (SELECT 1 FROM sessions s WHERE s.session_id = $1 AND s.spec ->> 'broker' <> 'paper'
                 AND EXISTS (SELECT 1 FROM trades t WHERE t.session_id = s.session_id))
   AND NOT EXISTS (SELECT 1 FROM session_participants p WHERE p.session_id = $1 AND p.service = $2);

-- name: outcome
SELECT count(*) AS trades, coalesce(sum(net_pnl_paise), 0)::bigint AS net_pnl_paise
FROM trades WHERE session_id = $1 AND entry_quantity > 0;
