"""Logins that go on without a person."""
