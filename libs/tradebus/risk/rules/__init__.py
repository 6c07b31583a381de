"""The rules an entry must pass: one file each, one line each in the registry."""
