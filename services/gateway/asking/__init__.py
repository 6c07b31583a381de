"""Signals that people and other programs ask for: by hand, by a webhook. Risk judges them as it does a strategy's."""
