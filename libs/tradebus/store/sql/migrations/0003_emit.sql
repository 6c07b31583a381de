-- For statements that are a whole transaction by themselves: one round trip and one durable commit on the way of a signal.

-- Writes the outbox and event rows of messages, in their order; of all of them, or of those whose ids are in `only_ids`.
CREATE FUNCTION emit(
    producer text, streams text[], kinds text[], bodies bytea[], event_ids text[], session_ids text[], pos_ids text[],
    ts_event_ns bigint[], only_ids text[]
) RETURNS TABLE (outbox_id bigint, emitted_id text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH emitted AS (
        SELECT row.*, row_number() OVER (ORDER BY row.place) AS number
        FROM unnest(streams, kinds, bodies, event_ids, session_ids, pos_ids, emit.ts_event_ns) WITH ORDINALITY
             AS row (stream, kind, body, event_id, session_id, pos_id, ts_ns, place)
        WHERE only_ids IS NULL OR row.event_id = ANY (only_ids)
    ), recorded AS (
        -- An id derives from its cause, so an event that is there already is the same event.
        INSERT INTO events (event_id, stream, type, session_id, pos_id, ts_event_ns, body)
        SELECT event_id, stream, kind, session_id, pos_id, ts_ns, convert_from(body, 'UTF8')::jsonb
        FROM emitted ORDER BY number
        ON CONFLICT (event_id) DO NOTHING
    ), queued AS (
        INSERT INTO outbox (producer, stream, kind, body)
        SELECT emit.producer, stream, kind, body FROM emitted ORDER BY number
        RETURNING outbox.outbox_id
    )
    SELECT queued.outbox_id, emitted.event_id
    FROM (SELECT queued.outbox_id, row_number() OVER (ORDER BY queued.outbox_id) AS number FROM queued) queued
    JOIN emitted USING (number);
END $$;

-- Rolls the statement back where a condition does not hold.
CREATE FUNCTION require(condition boolean, problem text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT condition THEN
        RAISE EXCEPTION USING MESSAGE = problem, ERRCODE = 'TB001';
    END IF;
    RETURN true;
END $$;
