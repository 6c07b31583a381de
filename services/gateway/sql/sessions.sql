-- name: alive_session
SELECT session_id, user_id, status, spec FROM sessions
WHERE user_id = $1 AND status NOT IN ('STOPPED', 'FAILED');

-- name: latest_session
SELECT session_id, user_id, status, spec FROM sessions
WHERE user_id = $1 ORDER BY created_ns DESC, session_id DESC LIMIT 1;

-- name: session_of_command
SELECT session_id, user_id, status, spec FROM sessions WHERE user_id = $1 AND command_id = $2;

-- name: command_seen
SELECT EXISTS (SELECT 1 FROM inbox WHERE consumer = $1 AND message_id = $2);

-- name: insert_session
INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)
VALUES ($1, $2, 'STARTING', $3, $4, $5, $6);

-- name: set_status
UPDATE sessions SET status = $2, reason = coalesce($3, reason) WHERE session_id = $1;

-- name: end_session
-- Only from the status it was seen in: another gateway may have been first.
UPDATE sessions SET status = $2, ended_ns = $3, reason = coalesce($4, reason)
WHERE session_id = $1 AND status = $5 RETURNING session_id;

-- name: begin_session
UPDATE sessions SET status = $2 WHERE session_id = $1 AND status = 'STARTING' RETURNING session_id;

-- name: changing_sessions
SELECT s.session_id, s.user_id, s.status, s.spec, s.reason,
       coalesce(array_agg(p.service) FILTER (WHERE p.service IS NOT NULL), '{}') AS participants
FROM sessions s LEFT JOIN session_participants p USING (session_id)
WHERE s.status IN ('STARTING', 'STOPPING')
GROUP BY s.session_id ORDER BY s.created_ns, s.session_id;

-- name: last_pause_command
-- Which of PAUSE and RESUME came last while the session was starting.
SELECT type FROM events
WHERE session_id = $1 AND stream = $2 AND type IN ('PAUSE_TRADING', 'RESUME_TRADING')
ORDER BY ts_event_ns DESC, event_id DESC LIMIT 1;

-- name: last_report
SELECT type, body FROM events
WHERE session_id = $1 AND stream = $2 AND type = ANY($3)
ORDER BY ts_event_ns DESC, event_id DESC LIMIT 1;

-- name: unfinished_work
-- A STOP that risk has not handled (it approves nothing of the session afterwards), approvals that execution has not
-- answered, trades that are not over: with none of them nothing more can happen in the session.
SELECT (SELECT count(*) FROM events e
        WHERE e.session_id = $1 AND e.type = 'STOP_TRADING'
          AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.consumer = 'risk' AND i.message_id = e.event_id))
     + (SELECT count(*) FROM trades
        WHERE session_id = $1 AND state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED'))
     + (SELECT count(*) FROM events e
        WHERE e.session_id = $1 AND e.type IN ('ENTRY_APPROVED', 'ENTRY_REDUCED', 'EXIT_APPROVED')
          AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.intent_id = e.body ->> 'intent_id'));

-- name: session_result
SELECT count(*) AS trades, coalesce(sum(net_pnl_paise), 0)::bigint AS net_pnl_paise
FROM trades WHERE session_id = $1 AND entry_quantity > 0;

-- name: kill_switch
SELECT engaged, reason, changed_ns FROM kill_switch;

-- name: engage_kill_switch
INSERT INTO kill_switch (engaged, reason, changed_ns) VALUES (true, $1, $2)
ON CONFLICT (only_row) DO UPDATE SET engaged = true, reason = excluded.reason, changed_ns = excluded.changed_ns
WHERE NOT kill_switch.engaged;

-- name: release_kill_switch
UPDATE kill_switch SET engaged = false, reason = $1, changed_ns = $2 WHERE engaged RETURNING changed_ns;

-- name: feed_in_force
-- A broker's name, "generated" or "history", and the day that its market is at: the first one of a recorded feed.
SELECT CASE WHEN spec ->> 'feed' = 'live' THEN spec ->> 'broker' ELSE spec ->> 'feed' END AS feed,
       coalesce(spec ->> 'day', spec ->> 'from')::date AS day
FROM feeds WHERE shard = 0;
