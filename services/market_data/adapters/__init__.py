"""market_data's edges: history files, the generated market, the feed's row in Postgres."""
