"""A stack of child processes: put together, watched, started again, found by others."""
