-- name: of_broker
SELECT instrument_id, instrument_key, token, broker_segment, b.symbol, b.lot_size, b.tick_size_paise, b.freeze_quantity
FROM broker_instruments b JOIN instruments i USING (instrument_id)
WHERE broker = $1 AND listed_on = $2 AND instrument_key IS NOT NULL ORDER BY instrument_id;

-- name: put
INSERT INTO broker_instruments
    (broker, instrument_id, token, broker_segment, symbol, lot_size, tick_size_paise, freeze_quantity, listed_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (broker, instrument_id) DO UPDATE SET
    token = excluded.token, broker_segment = excluded.broker_segment, symbol = excluded.symbol,
    lot_size = excluded.lot_size, tick_size_paise = excluded.tick_size_paise,
    freeze_quantity = excluded.freeze_quantity, listed_on = excluded.listed_on;
