"""Upstox's face."""
