"""Strategies: pure decision cores. Market state in, a decision with a reason out, HOLD included."""
