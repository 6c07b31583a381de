-- The book of record. Money in paise, instants in nanoseconds since the epoch (ts_*_ns), market bars by timestamptz.
-- Everything lives in the schema the connection's search_path names, one schema per namespace.

CREATE TABLE instruments (
    instrument_id   integer PRIMARY KEY,          -- small and dense: it indexes the arrays of the dense path
    symbol          text NOT NULL UNIQUE,         -- canonical: the broker's tradingsymbol
    exchange        text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('EQUITY', 'INDEX', 'FUTURE', 'OPTION')),
    market_class    text NOT NULL,                -- which dated session rules apply (tradebus.calendar)
    underlying      text NOT NULL,                -- which dated lot size applies
    tick_size_paise integer NOT NULL CHECK (tick_size_paise > 0),
    expiry          date
);

CREATE TABLE instrument_aliases (
    alias         text PRIMARY KEY,
    instrument_id integer NOT NULL REFERENCES instruments
);

CREATE TABLE candles_1m (
    instrument_id integer NOT NULL REFERENCES instruments,
    ts            timestamptz NOT NULL,           -- start of the bar
    open_paise    bigint NOT NULL,
    high_paise    bigint NOT NULL,
    low_paise     bigint NOT NULL,
    close_paise   bigint NOT NULL,
    volume        bigint NOT NULL,
    oi            bigint NOT NULL,
    PRIMARY KEY (instrument_id, ts)
);

-- The documented shape (SPEC 3), in rupees.
CREATE VIEW candles AS
SELECT i.symbol, c.ts,
       (c.open_paise  / 100.0)::numeric(14, 2) AS open,
       (c.high_paise  / 100.0)::numeric(14, 2) AS high,
       (c.low_paise   / 100.0)::numeric(14, 2) AS low,
       (c.close_paise / 100.0)::numeric(14, 2) AS close,
       c.volume, c.oi
FROM candles_1m c JOIN instruments i USING (instrument_id);

CREATE TABLE sessions (
    session_id    text PRIMARY KEY,
    user_id       text NOT NULL,
    status        text NOT NULL CHECK (status IN ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING', 'STOPPED', 'FAILED')),
    mode          text NOT NULL,
    spec          jsonb NOT NULL,
    command_id    text NOT NULL,
    created_ns    bigint NOT NULL,
    ended_ns      bigint,
    reason        text
);
CREATE INDEX ON sessions (user_id, created_ns);
-- At most one session of a user is alive: START_TRADING repeated is harmless.
CREATE UNIQUE INDEX sessions_one_alive ON sessions (user_id) WHERE status NOT IN ('STOPPED', 'FAILED');

-- Which service has taken a session up; the gateway reports SESSION_STARTED when all have.
CREATE TABLE session_participants (
    session_id text NOT NULL REFERENCES sessions,
    service    text NOT NULL,
    PRIMARY KEY (session_id, service)
);

CREATE TABLE kill_switch (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    engaged    boolean NOT NULL,
    reason     text NOT NULL,
    changed_ns bigint NOT NULL
);

-- The decision journal: every decision, HOLD too.
CREATE TABLE decisions (
    session_id    text NOT NULL,
    strategy      text NOT NULL,
    instrument_id integer NOT NULL,
    ts_event_ns   bigint NOT NULL,
    action        text NOT NULL,
    reason        text NOT NULL,
    price_paise   bigint NOT NULL,
    PRIMARY KEY (session_id, strategy, instrument_id, ts_event_ns)
);

CREATE TABLE signals (
    event_id    text PRIMARY KEY,
    session_id  text NOT NULL,
    strategy    text NOT NULL,
    symbol      text NOT NULL,
    type        text NOT NULL,
    ts_event_ns bigint NOT NULL,
    body        jsonb NOT NULL
);
CREATE INDEX ON signals (session_id, ts_event_ns);

CREATE TABLE risk_state (
    session_id text PRIMARY KEY,
    state      jsonb NOT NULL,
    version    bigint NOT NULL
);

CREATE TABLE risk_decisions (
    event_id    text PRIMARY KEY,
    session_id  text NOT NULL,
    signal_id   text,
    pos_id      text,
    verdict     text NOT NULL,
    rule        text NOT NULL,
    quantity    bigint,
    ts_event_ns bigint NOT NULL,
    body        jsonb NOT NULL
);
CREATE INDEX ON risk_decisions (session_id, ts_event_ns);

CREATE TABLE intents (
    intent_id   text PRIMARY KEY,
    pos_id      text NOT NULL,
    session_id  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('ENTRY', 'EXIT')),
    outcome     text NOT NULL,
    ts_event_ns bigint NOT NULL,
    body        jsonb NOT NULL
);
CREATE INDEX ON intents (session_id);

CREATE TABLE trades (
    trade_id              bigint GENERATED ALWAYS AS IDENTITY UNIQUE,   -- the database id that events carry
    pos_id                text PRIMARY KEY,
    session_id            text NOT NULL REFERENCES sessions,
    user_id               text NOT NULL,
    strategy              text NOT NULL,
    symbol                text NOT NULL,
    instrument_id         integer NOT NULL,
    side                  text NOT NULL CHECK (side IN ('LONG', 'SHORT')),
    state                 text NOT NULL,
    quantity_requested    bigint NOT NULL,
    entry_quantity        bigint NOT NULL DEFAULT 0,
    entry_value_paise     bigint NOT NULL DEFAULT 0,   -- Σ quantity × price: exact, where an average is not
    exit_quantity         bigint NOT NULL DEFAULT 0,
    exit_value_paise      bigint NOT NULL DEFAULT 0,
    charges_paise         bigint NOT NULL DEFAULT 0,
    expected_price_paise  bigint NOT NULL,
    initial_stop_paise    bigint NOT NULL,
    stop_paise            bigint NOT NULL,
    target_paise          bigint,
    highest_paise         bigint,                      -- extremes while open, for MAE and MFE
    lowest_paise          bigint,
    lot_size              integer NOT NULL,
    tick_size_paise       integer NOT NULL,
    max_slippage_pct      double precision NOT NULL,
    order_timeout_seconds integer NOT NULL,
    exit_reason           text,
    trace_id              text NOT NULL,
    intent_id             text NOT NULL,
    created_ns            bigint NOT NULL,
    opened_ns             bigint,
    closed_ns             bigint,
    net_pnl_paise         bigint,
    r_multiple            double precision,
    mae_r                 double precision,
    mfe_r                 double precision,
    as_of_ns              bigint NOT NULL,             -- event time up to which market data has been applied
    owner                 text NOT NULL,               -- the execution instance that supervises it
    version               bigint NOT NULL DEFAULT 0
);
CREATE INDEX ON trades (session_id);
CREATE INDEX trades_alive ON trades (owner) WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED');

CREATE TABLE orders (
    order_id           text PRIMARY KEY,
    pos_id             text NOT NULL REFERENCES trades,
    tag                text NOT NULL UNIQUE,           -- what the broker knows it by
    role               text NOT NULL CHECK (role IN ('ENTRY', 'STOP', 'EXIT')),
    sequence           integer NOT NULL,
    transaction_type   text NOT NULL CHECK (transaction_type IN ('BUY', 'SELL')),
    order_type         text NOT NULL,
    quantity           bigint NOT NULL CHECK (quantity > 0),
    price_paise        bigint,
    trigger_paise      bigint,
    state              text NOT NULL,
    broker_order_id    text,
    filled_quantity    bigint NOT NULL DEFAULT 0,
    filled_value_paise bigint NOT NULL DEFAULT 0,
    placed_ns          bigint NOT NULL,
    updated_ns         bigint NOT NULL,
    reason             text,
    UNIQUE (pos_id, role, sequence)                    -- one broker order per intent
);
CREATE INDEX ON orders (pos_id);

-- What happened to orders, append-only; `orders` is its latest line.
CREATE TABLE order_history (
    history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    text NOT NULL,
    from_state  text,
    to_state    text NOT NULL,
    event       text NOT NULL,
    ts_event_ns bigint NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON order_history (order_id);

CREATE TABLE fills (
    fill_id       text PRIMARY KEY,
    order_id      text NOT NULL REFERENCES orders,
    pos_id        text NOT NULL,
    quantity      bigint NOT NULL CHECK (quantity > 0),
    price_paise   bigint NOT NULL CHECK (price_paise > 0),
    charges_paise bigint NOT NULL,
    ts_event_ns   bigint NOT NULL
);
CREATE INDEX ON fills (order_id);
CREATE INDEX ON fills (pos_id);

CREATE TABLE execution_instances (
    name         text PRIMARY KEY,
    heartbeat_at timestamptz NOT NULL
);

-- The paper broker's own book: another party's memory, never joined with ours except by reconciliation.
CREATE TABLE paper_orders (
    broker_order_id  text PRIMARY KEY,
    tag              text NOT NULL UNIQUE,
    account          text NOT NULL,
    instrument_id    integer NOT NULL,
    body             jsonb NOT NULL,
    status           text NOT NULL,
    version          bigint NOT NULL DEFAULT 0
);
CREATE INDEX ON paper_orders (account) WHERE status NOT IN ('FILLED', 'CANCELLED', 'REJECTED');
CREATE TABLE paper_fills (
    fill_id         text PRIMARY KEY,
    broker_order_id text NOT NULL REFERENCES paper_orders,
    quantity        bigint NOT NULL,
    price_paise     bigint NOT NULL,
    ts_event_ns     bigint NOT NULL
);
CREATE INDEX ON paper_fills (broker_order_id);

-- At least once in, exactly once in effect.
CREATE TABLE inbox (
    consumer   text NOT NULL,
    message_id text NOT NULL,
    PRIMARY KEY (consumer, message_id)
);
CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    producer  text NOT NULL,
    stream    text NOT NULL,
    kind      text NOT NULL,
    body      bytea NOT NULL
);
CREATE INDEX ON outbox (producer, outbox_id);

-- Every sparse event that was ever emitted, append-only.
CREATE TABLE events (
    event_id    text PRIMARY KEY,
    stream      text NOT NULL,
    type        text NOT NULL,
    session_id  text,
    pos_id      text,
    ts_event_ns bigint NOT NULL,
    body        jsonb NOT NULL
);
CREATE INDEX ON events (session_id, ts_event_ns);
CREATE INDEX ON events (pos_id) WHERE pos_id IS NOT NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON order_history  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fills          FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events         FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON risk_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON signals        FOR EACH ROW EXECUTE FUNCTION refuse_change();
