"""What risk knows of the market beside its sessions: marks, the time it is, gaps of data, how far signals have come."""
