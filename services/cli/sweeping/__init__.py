"""`tradebus sweep` and `tradebus walkforward`: many sets of parameters over one history, in bulk mode."""
