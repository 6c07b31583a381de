"""Logging in at brokers, looking at what they list, and the sandbox that stands in for them."""
