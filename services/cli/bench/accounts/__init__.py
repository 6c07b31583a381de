"""Three accounts at the sandbox's three faces, one of which hangs: what the other two notice of it."""
