"""One compiled strategy for a thousand sessions at 25,000 ticks a second: what it costs, and how long a tick waits."""
