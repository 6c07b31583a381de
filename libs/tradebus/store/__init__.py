"""Postgres: pools, transactions with inbox and outbox, named SQL, migrations, candles and instruments."""
