"""Recorded bars and ticks out of files, as brokers, exchanges and charting programs write them: one reader for all."""
