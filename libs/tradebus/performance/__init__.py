"""How a run did, day by day: returns, drawdown, ratios, months. Pure; money in paise, shares as fractions of 1."""
