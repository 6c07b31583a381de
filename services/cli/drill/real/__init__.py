"""The drill with real processes: execution on real servers, in front of the sandbox's faces, killed as machines die."""
