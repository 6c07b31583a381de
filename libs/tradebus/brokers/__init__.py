"""Ports to brokers and their adapters."""
