-- The price step of an instrument that no broker's master describes is the calendar's dated rule, and none is kept.
ALTER TABLE instruments ALTER COLUMN tick_size_paise DROP NOT NULL;
