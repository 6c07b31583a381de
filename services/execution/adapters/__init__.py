"""Execution's ledger in Postgres."""
