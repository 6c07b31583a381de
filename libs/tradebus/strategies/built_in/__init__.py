"""The strategies that come along."""
