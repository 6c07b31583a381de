"""Waiting by the timers that are injected: below all that speaks to the outside, above all that must not wait."""
