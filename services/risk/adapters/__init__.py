"""Risk's side of Postgres."""
