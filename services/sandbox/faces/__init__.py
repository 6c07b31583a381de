"""The exchange as each broker shows it."""
