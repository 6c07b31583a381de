"""Commands that prove something: what was said to brokers, whether live trading may begin."""
