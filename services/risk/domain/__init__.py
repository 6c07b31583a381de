"""What risk knows and decides, without I/O: state, rules, facts, marking to market."""
