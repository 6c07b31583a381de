"""The audit's half beside the request: what leaves and what comes back is caught on the wire and spooled to a file."""
