"""Orders at any broker: books, looking one up, what came of a request, when one is absent for certain."""
