"""Bulk mode: one compiled pass of decisions and accounting per set of parameters, equal in trades to the engine."""
