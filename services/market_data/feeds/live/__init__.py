"""A broker's market: its instruments, its sockets, whether they are alive, and the feeder of what they bring."""
