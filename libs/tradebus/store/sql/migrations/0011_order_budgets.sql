-- What has left of each broker account lately, counted by all processes together. One row per account, replaced a few
-- times a second: room for new versions on the same page.
CREATE TABLE order_budgets (
    account text PRIMARY KEY,
    body text NOT NULL,
    version bigint NOT NULL
) WITH (fillfactor = 50);
