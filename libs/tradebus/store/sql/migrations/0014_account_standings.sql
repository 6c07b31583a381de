-- What keeps positions from being opened in a broker account, so that no restart forgets it.
CREATE TABLE account_standings (
    account          text PRIMARY KEY,              -- broker:login
    blocked          text NOT NULL DEFAULT '',      -- as whoever looked last said; '': nothing
    degraded_ns      bigint,                        -- since when, on the machine's clock; null: it is not
    waits_for_person boolean NOT NULL DEFAULT false
);

-- Of what is held, what the broker does not have any more: somebody closed it by hand.
ALTER TABLE trades ADD COLUMN missing_quantity bigint NOT NULL DEFAULT 0;
