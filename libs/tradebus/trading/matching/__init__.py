"""How a paper order meets the market."""
