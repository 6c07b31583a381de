"""Commands by which a person takes part in trading."""
