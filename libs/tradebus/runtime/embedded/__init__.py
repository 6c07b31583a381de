"""Postgres and Redis out of Python wheels, for a machine that has neither.

    EmbeddedServers.start() ── lock the folder ── initdb once ── keeper process ─┬─ postgres
            │                                          ▲                         └─ valkey-server
            └── pipe: end of file = stop ──────────────┘

Invariants (each has a test in tests/integration/embedded):
- The servers end with the process that started them, whatever ends it: the keeper reads the end of the pipe.
- Until then they are kept up: the keeper starts a server that died again, and the starter the keeper.
- A folder never has two sets of servers: its lock is held by the starter, the keeper and every server process alike,
  so the kernel frees it only when the last of them is gone.
- What was committed is there after the next start, also after kill -9.
Importing this package is cheap; the wheels are looked up when a server starts.
"""

from tradebus.runtime.embedded.servers import (
    EmbeddedServers,
    ServerUrls,
    running_servers,
    servers_from_environment,
)

__all__ = ["EmbeddedServers", "ServerUrls", "running_servers", "servers_from_environment"]
