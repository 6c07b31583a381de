"""Risk's own table: in Postgres, in memory, and how its rows are written."""
