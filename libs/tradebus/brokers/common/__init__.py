"""What the adapters of several brokers have in common. Each adapter keeps what is its broker's own."""
