"""Who the strategy service is on the bus: for itself, and for who looks at how far it is."""

GROUP = "strategy"
# Not the instance's name: the state is one, so is its reader, and whoever starts next finds what was left.
CONSUMER = "strategy"
