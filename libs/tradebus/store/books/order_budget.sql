-- Order budgets, replaced only by who has seen the last one. The clock is the server's, which all processes share.

-- name: read
SELECT b.body, coalesce(b.version, 0) AS version,
       (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now_ns
FROM (SELECT $1::text AS account) a LEFT JOIN order_budgets b USING (account);

-- name: replace
-- Not durable at once: what a crash of the server takes with it is older than a second by the time it is up again. The
-- setting holds to the end of this statement's transaction. Whoever was late is told what stands, in the same turn.
WITH asked AS (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now_ns,
           set_config('synchronous_commit', 'off', true) AS durable
), replaced AS (
    INSERT INTO order_budgets (account, body, version)
    SELECT $1, $2, 1 FROM asked
    WHERE abs(now_ns - $4::bigint) <= $5::bigint AND durable = 'off'
      AND ($3::bigint = 0 OR EXISTS (SELECT FROM order_budgets WHERE account = $1))
    ON CONFLICT (account) DO UPDATE SET body = excluded.body, version = order_budgets.version + 1
    WHERE order_budgets.version = $3::bigint
    RETURNING body, version
)
SELECT body, version, now_ns, true AS replaced FROM replaced, asked
UNION ALL
SELECT b.body, coalesce(b.version, 0), now_ns, false
FROM asked LEFT JOIN order_budgets b ON b.account = $1
WHERE NOT EXISTS (SELECT FROM replaced);
