-- How often a broker was asked to move or resize a stop: brokers take only so many, whoever has it by now.
ALTER TABLE orders ADD COLUMN moves integer NOT NULL DEFAULT 0;
