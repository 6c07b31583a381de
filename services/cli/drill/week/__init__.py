"""A whole week of the market: many users at three brokers, the nights in between, and both books at every evening."""
