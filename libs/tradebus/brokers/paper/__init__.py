"""The paper broker: an order book that fills from market data, in event time, with modelled latency and slippage."""
