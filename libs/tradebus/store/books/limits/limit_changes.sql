-- name: add
INSERT INTO limit_changes (session_id, user_id, changed_ns, changed_by, strategy, field, before_value, after_value, widens,
                           reason, command_id)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9, $10, $11);

-- name: of_session
SELECT session_id, user_id, changed_ns, changed_by, strategy, field, before_value::text AS before_value,
       after_value::text AS after_value, widens, reason, command_id
FROM limit_changes WHERE session_id = $1 ORDER BY change_id;
