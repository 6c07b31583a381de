-- What market_data keeps beside candles: the newest option chain of each index and expiry, and where its feed stands.

CREATE TABLE option_chains (
    idx        text NOT NULL,                     -- the index's canonical symbol
    expiry     date NOT NULL,
    payload    jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (idx, expiry)
);

-- One row per feed that fills the market-data streams.
CREATE TABLE feeds (
    shard      integer PRIMARY KEY,
    identity   text NOT NULL,                     -- digest of all that decides the feed's content
    spec       jsonb NOT NULL,                    -- what was asked for, for people, and the resolved days
    status     jsonb NOT NULL,                    -- progress: bars published, event time, fraction
    updated_at timestamptz NOT NULL DEFAULT now()
);
