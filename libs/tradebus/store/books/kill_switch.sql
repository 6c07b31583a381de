-- The one row of the kill switch.

-- name: read
SELECT engaged, reason, changed_ns, further::text AS further FROM kill_switch;

-- name: engage
-- The first engagement stands, and what is said after it is kept beside it, each reason once. One that a person released
-- at or after $3 (null: whenever) stays released, and what is older than an engagement is no word on it.
INSERT INTO kill_switch AS k (engaged, reason, changed_ns) VALUES (true, $1, $2)
ON CONFLICT (only_row) DO UPDATE SET
    engaged = true,
    reason = CASE WHEN k.engaged THEN k.reason ELSE excluded.reason END,
    changed_ns = CASE WHEN k.engaged THEN k.changed_ns ELSE excluded.changed_ns END,
    further = CASE
        WHEN NOT k.engaged THEN '[]'
        WHEN k.reason = excluded.reason OR jsonb_array_length(k.further) >= $4
            OR k.further @> jsonb_build_array(jsonb_build_object('reason', excluded.reason)) THEN k.further
        ELSE k.further || jsonb_build_object('reason', excluded.reason, 'at_ns', excluded.changed_ns)
    END
WHERE $3::bigint IS NULL OR k.changed_ns < $3;

-- name: release
UPDATE kill_switch SET engaged = false, reason = $1, changed_ns = $2, further = '[]' WHERE engaged RETURNING changed_ns;
