"""Processes of one event loop in simulated time: what runs next comes from a seed, and any of them may be killed."""
