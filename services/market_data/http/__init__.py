"""The HTTP API of market_data (SPEC 3): what a host that reaches no Redis trades on."""
