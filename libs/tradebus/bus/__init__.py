"""Redis Streams behind a port: publish, consumer groups, claim, dead letter; and an in-memory twin."""
