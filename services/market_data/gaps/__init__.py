"""Where a live feed has no data: gaps found, kept in a ledger until they are filled, and filled from history."""
