"""HTTP doors: a server that is closed in time, and callers that are bounded."""
