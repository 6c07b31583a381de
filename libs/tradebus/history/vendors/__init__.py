"""History files as brokers, exchanges and charting programs write them, made into the one layout the feed reads."""
