"""Access to any broker: addresses, logins, tokens, how fast calls may leave."""
