"""Which instruments are known by name, and what each of them is. Pure."""
