"""The bus in memory: the twin of the Redis bus, under one test suite with it."""
