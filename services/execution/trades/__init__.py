"""Trades as this instance keeps them: decided in the core, stored in the ledger, shown to the market."""
