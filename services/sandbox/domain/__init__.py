"""What the sandbox exchange decides, without I/O: prices, books, matching, accounts, rules, faults."""
