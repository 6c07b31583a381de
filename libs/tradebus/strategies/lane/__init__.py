"""From candles and ticks to what sessions decide."""
