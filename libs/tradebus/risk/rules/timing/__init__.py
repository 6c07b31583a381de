"""When an entry may be made: in the hours of its contract and of the session."""
