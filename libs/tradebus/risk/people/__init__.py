"""What a person decides before risk does."""
