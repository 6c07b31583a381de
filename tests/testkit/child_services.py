"""Small services of the tests' own for the supervisor: up at once, and ended in every way a test asks for."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from services.cli.stack.children import ServiceSpec, free_port
from services.cli.stack.rundir import ServiceState
from services.cli.stack.supervisor import ProcessSupervisor

# Ends as DYING says where that file is there when it starts: "<exit status> <last words>"; -N: by signal N.
SERVICE = """
import http.server, os, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
if os.path.exists(os.environ.get("DYING", "")):
    status, _, words = open(os.environ["DYING"]).read().partition(" ")
    print(words, flush=True)
    os.kill(os.getpid(), -int(status)) if int(status) < 0 else sys.exit(int(status))
print("up", os.environ["NAME"], flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["TRADEBUS_HEALTH_PORT"])), Ready).serve_forever()
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))\n" + SERVICE


def service(name: str, program: str = SERVICE, *, dying: Path | None = None) -> ServiceSpec:
    """A service that answers /readyz on a port of its own."""
    port = free_port()
    environment = {"NAME": name, "TRADEBUS_HEALTH_PORT": str(port), "DYING": str(dying or "")}
    return ServiceSpec(name, [sys.executable, "-c", program], port, environment)


class Watched:
    """A supervisor and what it reported."""

    def __init__(self, folder: Path, *specs: ServiceSpec) -> None:
        self.reports: list[dict[str, ServiceState]] = []
        self.said: list[str] = []
        self.supervisor = ProcessSupervisor(specs, run_dir=folder, changed=self.reports.append, say=self.said.append)

    def state(self, name: str) -> ServiceState:
        return self.supervisor.services()[name]

    def pid(self, name: str) -> int:
        return self.state(name).pid

    async def after_restart(self, name: str, *, restarts: int) -> ServiceState:
        """As soon as it has been started again so often, and runs or has died once more."""
        async with asyncio.timeout(60):
            while (state := self.state(name)).restarts < restarts:
                await asyncio.sleep(0.01)
        return state

    async def pid_after_restart(self, name: str, *, restarts: int) -> int:
        """As soon as it runs after so many restarts."""
        async with asyncio.timeout(60):
            while (state := self.state(name)).restarts < restarts or not state.pid:
                await asyncio.sleep(0.01)
        return state.pid


@asynccontextmanager
async def running(folder: Path, *specs: ServiceSpec, required: Sequence[str] | None = None) -> AsyncIterator[Watched]:
    watched = Watched(folder, *specs)
    try:
        await watched.supervisor.start([spec.name for spec in specs], required=required)
        yield watched
    finally:
        await watched.supervisor.stop()
