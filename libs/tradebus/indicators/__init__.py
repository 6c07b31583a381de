"""Compiled incremental kernels: candles and indicators. One implementation for live and batch."""
