"""Logins at brokers that take orders, and the way of a request to them."""
