"""Markets whose days are known beforehand: a file's, checked and expanded, or generated ones; and their feeder."""
