-- The gap ledger: where a live feed had no data, open until the broker's history has filled it.
CREATE TABLE data_gaps (
    gap_id            text PRIMARY KEY,
    broker            text NOT NULL,
    exchange          text NOT NULL,
    market_class      text NOT NULL,
    instruments       integer[] NOT NULL,
    symbols           text[] NOT NULL,
    from_ns           bigint NOT NULL,
    to_ns             bigint CHECK (to_ns > from_ns),  -- NULL while data stays away
    reason            text NOT NULL,
    announced         boolean NOT NULL,                -- DATA_GAP was told: entries wait
    attempts          integer NOT NULL DEFAULT 0,
    problem           text NOT NULL DEFAULT '',        -- why the last attempt to fill it failed
    filled_ns         bigint,
    candles_corrected bigint NOT NULL DEFAULT 0
);
CREATE INDEX ON data_gaps (from_ns) WHERE filled_ns IS NULL;
