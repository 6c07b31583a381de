-- Every change of a running session's limits: who, when, from, to, why. Rows are added and never altered.
CREATE TABLE limit_changes (
    change_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id   text NOT NULL REFERENCES sessions,
    user_id      text NOT NULL,
    changed_ns   bigint NOT NULL,
    changed_by   text NOT NULL,
    strategy     text,                            -- whose limit; null: the session's
    field        text NOT NULL,                   -- as in the contract, money in paise
    before_value jsonb NOT NULL,
    after_value  jsonb NOT NULL,
    widens       boolean NOT NULL,
    reason       text NOT NULL,
    command_id   text NOT NULL
);
CREATE INDEX ON limit_changes (session_id, change_id);

-- How far each session is from each of its limits, as risk saw it last.
CREATE TABLE risk_headroom (
    session_id text PRIMARY KEY,
    as_of_ns   bigint NOT NULL,                   -- the market data it was measured at
    body       jsonb NOT NULL
);
