-- name: put_gap
INSERT INTO data_gaps
    (gap_id, broker, exchange, market_class, instruments, symbols, from_ns, to_ns, reason, announced, attempts, problem,
     filled_ns, candles_corrected)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (gap_id) DO UPDATE SET
    to_ns = excluded.to_ns, reason = excluded.reason, announced = excluded.announced, attempts = excluded.attempts,
    problem = excluded.problem, filled_ns = excluded.filled_ns, candles_corrected = excluded.candles_corrected;

-- name: unfilled_gaps
SELECT * FROM data_gaps WHERE filled_ns IS NULL ORDER BY from_ns, gap_id;
