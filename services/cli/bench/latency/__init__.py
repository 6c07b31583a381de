"""From a tick to an order at the broker, over real services: what it takes, beside the floor of the same steps."""
