-- Statements of the store itself.

-- name: first_time
-- The inbox row of a message: a row comes back only the first time, and again where that first time was rolled back.
INSERT INTO inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true;

-- name: lock_position
SELECT pg_advisory_xact_lock($1);

-- name: write_emitted
-- Outbox and event rows of a transaction at once. $1 producer; then one array per column, in order of emission.
WITH emitted AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::bigint[])
        WITH ORDINALITY AS row (stream, kind, body, event_id, session_id, pos_id, ts_event_ns, place)
), recorded AS (
    -- An id derives from its cause, so an event that is there already is the same event.
    INSERT INTO events (event_id, stream, type, session_id, pos_id, ts_event_ns, body)
    SELECT event_id, stream, kind, session_id, pos_id, ts_event_ns, convert_from(body, 'UTF8')::jsonb
    FROM emitted ORDER BY place
    ON CONFLICT (event_id) DO NOTHING
)
INSERT INTO outbox (producer, stream, kind, body)
SELECT $1, stream, kind, body FROM emitted ORDER BY place
RETURNING outbox_id;

-- name: delete_published
-- Never `= ANY($1)`, here and below: planned while the table is empty, each row would be held against the whole list.
DELETE FROM outbox WHERE outbox_id IN (SELECT unnest($1::bigint[]));

-- name: outbox_of_service
-- What this producer ($1) and the other instances of its service ($2 is "service-") have in the outbox.
SELECT outbox_id, producer = $1 AS own FROM outbox
WHERE producer = $1 OR starts_with(producer, $2) ORDER BY outbox_id;

-- name: take_left
-- Locks the rows: another instance that sweeps at the same time waits, then finds them gone.
SELECT outbox_id, stream, kind, body FROM outbox WHERE outbox_id IN (SELECT unnest($1::bigint[]))
ORDER BY outbox_id FOR UPDATE;
