"""Postgres and Redis out of Python wheels, for a machine that has neither.

    EmbeddedServers.start() ── take a seat ── lock the folder ── initdb once ── keeper process ─┬─ postgres
            │                       │                                 ▲                         └─ valkey-server
            │                       └── somebody has it: share theirs │
            └── pipe: end of file = stop, once no seat is taken ──────┘

Invariants (each has a test in tests/integration/embedded):
- The servers end with the last process that holds them, whatever ends it: a seat is a lock that dies with its process.
- Until then they are kept up: the keeper starts a server that died again, the starter the keeper, and where they are
  gone altogether a holder that is left starts them again at the same addresses.
- A folder never has two sets of servers: its lock is held by the starter, the keeper and every server process alike,
  so the kernel frees it only when the last of them is gone.
- What was committed is there after the next start, also after kill -9.
Importing this package is cheap; the wheels are looked up when a server starts.
"""

from tradebus.runtime.embedded.servers import EmbeddedServers, running_servers, servers_from_environment
from tradebus.runtime.embedded.starting import ServerUrls

__all__ = ["EmbeddedServers", "ServerUrls", "running_servers", "servers_from_environment"]
