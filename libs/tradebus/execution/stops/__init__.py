"""How a stop that protects a position follows it."""
