-- One-minute bars in bulk. Every column is NOT NULL and of fixed width, so a row of a binary COPY has fixed width too.

-- name: make_stage
CREATE TEMP TABLE IF NOT EXISTS candles_stage (LIKE candles_1m) ON COMMIT DELETE ROWS;

-- name: merge_stage
INSERT INTO candles_1m SELECT * FROM candles_stage
ON CONFLICT (instrument_id, ts) DO UPDATE SET
    open_paise = excluded.open_paise, high_paise = excluded.high_paise, low_paise = excluded.low_paise,
    close_paise = excluded.close_paise, volume = excluded.volume, oi = excluded.oi;

-- name: merge_rows
-- For a few bars, in one round trip: one array per column, the time in microseconds since 1970.
INSERT INTO candles_1m
SELECT instrument_id, 'epoch'::timestamptz + ts_us * interval '1 microsecond', open, high, low, close, volume, oi
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[]) AS row (instrument_id, ts_us, open, high, low, close, volume, oi)
ON CONFLICT (instrument_id, ts) DO UPDATE SET
    open_paise = excluded.open_paise, high_paise = excluded.high_paise, low_paise = excluded.low_paise,
    close_paise = excluded.close_paise, volume = excluded.volume, oi = excluded.oi;

-- name: analyze
ANALYZE candles_1m;

-- name: read_between
-- Run inside COPY, which takes no parameters: the braces are filled with an integer and two instants of our printing.
SELECT * FROM candles_1m
WHERE instrument_id = {instrument} AND ts >= '{from_utc}' AND ts < '{to_utc}'
ORDER BY ts;

-- name: read_newest
-- The lower bound stands outside, where it removes the same rows: inside, a planner without statistics (a table just
-- filled) would think the interval nearly empty and sort the whole of it instead of walking the index backwards.
SELECT * FROM (
    SELECT * FROM candles_1m
    WHERE instrument_id = {instrument} AND ts < '{to_utc}'
    ORDER BY instrument_id DESC, ts DESC LIMIT {limit}
) AS newest
WHERE ts >= '{from_utc}' ORDER BY ts;

-- name: read_many_between
SELECT * FROM candles_1m
WHERE instrument_id = ANY('{instruments}') AND ts >= '{from_utc}' AND ts < '{to_utc}'
ORDER BY instrument_id, ts;

-- name: read_many_newest
-- One walk of the index backwards for each instrument; the lower bound outside, as above.
SELECT newest.* FROM unnest('{instruments}'::integer[]) AS wanted (instrument_id)
CROSS JOIN LATERAL (
    SELECT * FROM candles_1m
    WHERE candles_1m.instrument_id = wanted.instrument_id AND ts < '{to_utc}'
    ORDER BY instrument_id DESC, ts DESC LIMIT {limit}
) AS newest
WHERE newest.ts >= '{from_utc}' ORDER BY newest.instrument_id, newest.ts;
