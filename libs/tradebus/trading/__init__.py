"""Trade and order state tables, sizing, charges, R-metrics. Pure."""
