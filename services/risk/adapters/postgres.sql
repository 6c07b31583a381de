-- What risk reads and writes.

-- name: sessions
-- Sessions that risk has taken up and that are alive, or over and yet not flat; of one session where $1 is given.
SELECT s.session_id, s.spec, r.state::text AS state, r.version, s.status IN ('STOPPED', 'FAILED') AS is_over
FROM sessions s JOIN risk_state r USING (session_id)
WHERE ($1::text IS NULL OR s.session_id = $1)
  AND (s.status NOT IN ('STOPPED', 'FAILED')
       OR EXISTS (SELECT FROM jsonb_each(r.state -> 'holdings') held WHERE NOT held.value ? 'closed_ns'))
ORDER BY s.session_id;

-- name: ended_lately
SELECT s.session_id, s.spec, r.state::text AS state, r.version, true AS is_over
FROM sessions s JOIN risk_state r USING (session_id)
WHERE s.status IN ('STOPPED', 'FAILED') AND r.state ->> 'day' = (
      -- A row that cannot be read is told of by `sessions`.
      SELECT max(state ->> 'day') FROM risk_state WHERE state ->> 'day' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$')
  AND NOT EXISTS (SELECT FROM jsonb_each(r.state -> 'holdings') held WHERE NOT held.value ? 'closed_ns')
ORDER BY s.session_id;

-- name: new_state
INSERT INTO risk_state (session_id, state, version) VALUES ($1, $2::text::jsonb, 0) ON CONFLICT DO NOTHING;

-- name: record
-- One message's whole effect in one statement: nothing at all where its inbox row ($1, $2) is there already.
-- $3 session ids, $4 states, $5 the versions they were made from; $6 … $14 the verdicts' columns; $15 … $22 emit's.
WITH first AS (
    INSERT INTO inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING NULL::text[] AS every
), saved AS (
    -- An update, of rows that are there. As a join it would read the whole table for each verdict where it was planned
    -- while that was empty; so both, the row's being there and its update, go by the key.
    INSERT INTO risk_state AS kept (session_id, state, version)
    SELECT session_id, state::jsonb, version
    FROM unnest($3::text[], $4::text[], $5::bigint[]) AS new (session_id, state, version)
    WHERE EXISTS (SELECT FROM first) AND (SELECT true FROM risk_state r WHERE r.session_id = new.session_id)
    ON CONFLICT (session_id) DO UPDATE SET state = excluded.state, version = kept.version + 1
    WHERE kept.version = excluded.version
    RETURNING true
), journalled AS (
    -- An id derives from its cause, so a verdict that is there already is the same verdict.
    INSERT INTO risk_decisions
        (event_id, session_id, signal_id, pos_id, verdict, rule, quantity, ts_event_ns, body)
    SELECT event_id, session_id, signal_id, pos_id, verdict, rule, quantity, ts_event_ns, body::jsonb
    FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[],
                $13::bigint[], $14::text[])
        AS row (event_id, session_id, signal_id, pos_id, verdict, rule, quantity, ts_event_ns, body)
    WHERE EXISTS (SELECT FROM first)
    ON CONFLICT (event_id) DO NOTHING
)
SELECT EXISTS (SELECT FROM first) AS first_time,
       require((SELECT count(*) FROM saved) = cardinality($3::text[]) OR NOT EXISTS (SELECT FROM first),
               'risk_state is not at the version this service has read') AS is_saved,
       array_agg(e.outbox_id ORDER BY e.outbox_id) AS outbox_ids,
       array_agg(e.emitted_id ORDER BY e.outbox_id) AS emitted_ids
-- Lateral: emit runs once for the row of `first`, and not at all where there is none.
FROM first CROSS JOIN LATERAL emit($15, $16, $17, $18, $19, $20, $21, $22, first.every) e;

-- name: day_bars
-- The newest $3 days of an instrument's candles before $2 and not before $4, oldest first.
SELECT high_paise, low_paise, close_paise FROM (
    SELECT (ts AT TIME ZONE 'Asia/Kolkata')::date AS day, max(high_paise) AS high_paise, min(low_paise) AS low_paise,
           (array_agg(close_paise ORDER BY ts DESC))[1] AS close_paise
    FROM candles_1m WHERE instrument_id = $1 AND ts < $2 AND ts >= $4
    GROUP BY day ORDER BY day DESC LIMIT $3
) newest ORDER BY day;

-- name: open_gaps
SELECT gap_id, instruments FROM data_gaps WHERE filled_ns IS NULL AND announced;

-- name: unheard
-- Of sessions $1, positions $2 and sessions that start or stop: messages of types $3 that consumer $4 has not handled.
-- A close comes after what it closes, also where both are of one instant. A pause or its end counts only while nothing
-- later of the kind was handled.
SELECT e.body FROM events e
-- Arrays on both sides, so that both indexes serve: events are all that ever happened.
WHERE (e.session_id = ANY($1::text[] || ARRAY(SELECT session_id FROM sessions WHERE status IN ('STARTING', 'STOPPING')))
       OR e.pos_id = ANY($2))
  AND e.type = ANY($3)
  AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = $4 AND i.message_id = e.event_id)
  AND NOT (e.type IN ('PAUSE_TRADING', 'RESUME_TRADING') AND EXISTS (
      SELECT FROM events later JOIN inbox i ON i.consumer = $4 AND i.message_id = later.event_id
      WHERE later.session_id = e.session_id AND later.type IN ('PAUSE_TRADING', 'RESUME_TRADING')
        AND later.ts_event_ns > e.ts_event_ns))
ORDER BY e.ts_event_ns, array_position($3, e.type), e.event_id;

-- name: untaken
-- Of sessions $1, positions $2 and sessions that stop: approvals without an answer of execution.
SELECT e.body FROM events e
WHERE (e.session_id = ANY($1::text[] || ARRAY(SELECT session_id FROM sessions WHERE status = 'STOPPING'))
       OR e.pos_id = ANY($2))
  AND e.type IN ('ENTRY_APPROVED', 'ENTRY_REDUCED', 'EXIT_APPROVED')
  AND NOT EXISTS (SELECT FROM intents i WHERE i.intent_id = e.body ->> 'intent_id')
ORDER BY e.ts_event_ns, e.event_id;

-- name: tell_headroom
WITH forgotten AS (DELETE FROM risk_headroom WHERE session_id = ANY($4::text[]))
INSERT INTO risk_headroom (session_id, as_of_ns, body)
SELECT session_id, as_of_ns, body::jsonb FROM unnest($1::text[], $2::bigint[], $3::text[]) AS t (session_id, as_of_ns, body)
ON CONFLICT (session_id) DO UPDATE SET as_of_ns = excluded.as_of_ns, body = excluded.body;
