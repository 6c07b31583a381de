"""Execution: the life of a trade from approval to its last word, and its reconciliation. Pure."""
