"""tradebus: the libraries shared by every service. Layers are in DESIGN order; imports go down only."""
