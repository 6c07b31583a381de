-- An instrument carries its contract's terms, as the broker's master of a day said them; NULL where none did.

ALTER TABLE instruments
    ADD COLUMN strike_paise    bigint CHECK (strike_paise > 0),
    ADD COLUMN "right"         text CHECK ("right" IN ('CE', 'PE')),
    ADD COLUMN lot_size        integer CHECK (lot_size > 0),
    ADD COLUMN freeze_quantity bigint CHECK (freeze_quantity > 0),
    ADD COLUMN terms_on        date;
