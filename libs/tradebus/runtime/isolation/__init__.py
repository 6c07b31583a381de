"""A user's strategy file in a process of its own, where its death, its hunger and its loops are its own."""
