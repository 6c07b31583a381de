"""Ticks made into candles and cut into slices, without I/O: the same kernels for recorded and for live days."""
