"""What several tests need: builders of valid messages and records, waiting, processes. No test lies here."""
