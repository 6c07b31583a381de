-- Two brokers, or one on two days, may give a fill one number: with our order's id it is one fill.

ALTER TABLE fills DROP CONSTRAINT fills_pkey, ADD PRIMARY KEY (order_id, fill_id);
DROP INDEX fills_order_id_idx;
