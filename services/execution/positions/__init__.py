"""Positions at the broker beside ours: what somebody closed by hand, and what a person says of it."""
