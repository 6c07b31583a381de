"""What brings book and broker together again: after a crash, after a lost answer, every few seconds."""
