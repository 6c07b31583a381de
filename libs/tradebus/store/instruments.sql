-- name: all_instruments
SELECT * FROM instruments ORDER BY instrument_id;

-- name: all_aliases
SELECT alias, symbol FROM instrument_aliases JOIN instruments USING (instrument_id) ORDER BY alias;

-- name: lock_table
-- Registration reads before it writes; nobody else may register in between. Readers are not kept waiting.
LOCK TABLE instruments IN SHARE ROW EXCLUSIVE MODE;

-- name: ids_of
SELECT symbol, instrument_id FROM instruments WHERE symbol = ANY($1::text[]);

-- name: next_id
SELECT coalesce(max(instrument_id) + 1, 0) FROM instruments;

-- name: put_instrument
INSERT INTO instruments
    (instrument_id, symbol, exchange, kind, market_class, underlying, tick_size_paise, expiry, instrument_key,
     strike_paise, "right", lot_size, freeze_quantity, terms_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (instrument_id) DO UPDATE SET
    exchange = excluded.exchange, kind = excluded.kind, market_class = excluded.market_class,
    underlying = excluded.underlying, tick_size_paise = excluded.tick_size_paise, expiry = excluded.expiry,
    instrument_key = excluded.instrument_key, strike_paise = excluded.strike_paise, "right" = excluded."right",
    lot_size = excluded.lot_size, freeze_quantity = excluded.freeze_quantity, terms_on = excluded.terms_on;

-- name: put_alias
INSERT INTO instrument_aliases (alias, instrument_id)
SELECT $1, instrument_id FROM instruments WHERE symbol = $2
ON CONFLICT (alias) DO UPDATE SET instrument_id = excluded.instrument_id;
