"""What a run did: decisions in columns, verdicts, fills, trades."""
