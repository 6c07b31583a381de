"""The engine: lane, resolver, risk, execution and matching in one thread and simulated time."""
