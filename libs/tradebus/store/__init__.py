"""Postgres: pools, named SQL, migrations, inbox and outbox, advisory locks."""
