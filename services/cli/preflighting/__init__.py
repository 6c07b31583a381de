"""`tradebus preflight`: the gates of live trading, asked from here."""
