"""`tradebus audit`: the chain of requests to brokers, verified and exported."""
