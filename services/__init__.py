"""The processes, one folder each. Services never import each other."""
