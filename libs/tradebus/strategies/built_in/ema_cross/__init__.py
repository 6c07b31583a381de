"""The plainest crossover: its rules, and the same compiled."""
