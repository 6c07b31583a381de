-- Limits over several sessions: what holds now, and who changed what.

-- name: rows
SELECT scope, limits::text AS limits, file_limits::text AS file_limits FROM shared_limits ORDER BY scope;

-- name: put
INSERT INTO shared_limits (scope, limits, file_limits) VALUES ($1, $2::text::jsonb, $3::text::jsonb)
ON CONFLICT (scope) DO UPDATE SET limits = excluded.limits, file_limits = excluded.file_limits;

-- name: add
INSERT INTO shared_limit_changes (scope, changed_ns, changed_by, field, before_value, after_value, widens, reason, command_id)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb, $7, $8, $9);

-- name: changes
SELECT scope, changed_ns, changed_by, field, before_value::text AS before_value, after_value::text AS after_value, widens,
       reason, command_id
FROM shared_limit_changes ORDER BY change_id;
