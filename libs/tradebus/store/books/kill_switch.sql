-- The one row of the kill switch.

-- name: read
SELECT engaged, reason, changed_ns FROM kill_switch;

-- name: engage
-- The first engagement stands. One that a person released at or after $3 (null: whenever) stays released.
INSERT INTO kill_switch (engaged, reason, changed_ns) VALUES (true, $1, $2)
ON CONFLICT (only_row) DO UPDATE SET engaged = true, reason = excluded.reason, changed_ns = excluded.changed_ns
WHERE NOT kill_switch.engaged AND ($3::bigint IS NULL OR kill_switch.changed_ns < $3);

-- name: release
UPDATE kill_switch SET engaged = false, reason = $1, changed_ns = $2 WHERE engaged RETURNING changed_ns;
