"""Benchmarks: what a name measures is looked up when it is asked for."""
