"""Accounts: what they hold, may do, and see of themselves."""
