"""The sandbox exchange: a simulated NSE that speaks the three brokers' own protocols."""
