-- One instrument key across brokers, and each broker's own names for an instrument.

ALTER TABLE instruments ADD COLUMN instrument_key text;
CREATE INDEX ON instruments (instrument_key) WHERE instrument_key IS NOT NULL;

-- The day's row of a broker's instrument master, for the instruments that are registered.
CREATE TABLE broker_instruments (
    broker          text NOT NULL,
    instrument_id   integer NOT NULL REFERENCES instruments,
    token           text NOT NULL,                 -- what its feed and history know the instrument by
    broker_segment  text NOT NULL,
    symbol          text NOT NULL,
    lot_size        integer NOT NULL CHECK (lot_size > 0),
    tick_size_paise integer NOT NULL CHECK (tick_size_paise > 0),
    freeze_quantity bigint CHECK (freeze_quantity > 0),
    listed_on       date NOT NULL,                 -- the day of the master it was read from
    PRIMARY KEY (broker, instrument_id)
);

-- An order stream may name an order by the broker's id alone.
CREATE INDEX ON orders (broker_order_id) WHERE broker_order_id IS NOT NULL;
