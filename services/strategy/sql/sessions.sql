-- name: session_status
SELECT status FROM sessions WHERE session_id = $1;

-- name: participate
INSERT INTO session_participants (session_id, service) VALUES ($1, 'strategy') ON CONFLICT DO NOTHING;

-- name: pause
UPDATE sessions SET status = 'PAUSED', reason = $2 WHERE session_id = $1 AND status = 'RUNNING';

-- name: refuse
UPDATE sessions SET reason = $2 WHERE session_id = $1 AND status = 'STARTING';

-- name: sessions_to_resume
-- Those this service has taken up and that may still trade. The status of one that is STARTING does not say whether it
-- is paused: there the last command does.
SELECT s.session_id, s.spec,
       CASE s.status
           WHEN 'STARTING' THEN coalesce(last_command.type = 'PAUSE_TRADING', false)
           ELSE s.status = 'PAUSED'
       END AS paused
FROM sessions s
JOIN session_participants p ON p.session_id = s.session_id AND p.service = 'strategy'
LEFT JOIN LATERAL (
    SELECT e.type FROM events e
    WHERE e.session_id = s.session_id AND e.stream = $1 AND e.type IN ('PAUSE_TRADING', 'RESUME_TRADING')
    ORDER BY e.ts_event_ns DESC, e.event_id DESC LIMIT 1
) last_command ON true
WHERE s.status IN ('STARTING', 'RUNNING', 'PAUSED')
ORDER BY s.created_ns, s.session_id;

-- name: position_messages
-- What execution has said about the session's positions: the very messages that orders.v1 carries.
SELECT body::text AS body FROM events
WHERE session_id = $1 AND stream = $2 AND type IN ('POSITION_OPENED', 'POSITION_CLOSED')
ORDER BY ts_event_ns, event_id;
