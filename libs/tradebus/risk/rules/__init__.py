"""The rules an entry must pass: one file per family, one line each in the registry."""
