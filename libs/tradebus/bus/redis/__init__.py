"""The bus on Redis Streams, over a transport of its own."""
