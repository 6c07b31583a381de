"""Strategies in the engine: compiled ones by the day, others candle by candle and tick by tick."""
