"""Postgres and Redis of the drill: the twins, with latencies, restarts and points at which a process may die."""
