"""What a running stack leaves for others to find: `<state>/runs/<name>/run.json`, logs beside it.

state_dir/  runs/  default/           the stack of `tradebus up`
                   demo_…/, run_…/    one folder per demo or trade, the newest are kept
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tradebus.runtime.embedded.local import is_alive

KEPT_RUNS = 20
RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One child process. `pid` 0 while it is being started again; `failing` says what it died of, until it has lived a
    minute again."""

    pid: int
    health_port: int
    restarts: int
    log: str
    failing: str = ""


@dataclass(frozen=True, slots=True)
class RunState:
    """The content of run.json. URLs carry no password; the token is named by its file.

    `leaves_namespace`: its schema and streams are still in the servers, and are to be removed by whoever comes next
    should this run not get there. `brokers`: the variables that say where the brokers are.
    """

    name: str
    command: str
    namespace: str
    supervisor_pid: int
    started_utc: str
    state_dir: str
    database_url: str
    redis_url: str
    gateway_url: str
    token_file: str
    leaves_namespace: bool = False
    services: dict[str, ServiceState] = field(default_factory=dict)
    brokers: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return is_alive(self.supervisor_pid)


def write_run(folder: Path, state: RunState) -> None:
    """Replaces run.json atomically: whoever reads it finds the old state or the new one."""
    partial = folder / f"{RUN_FILE}.partial"
    partial.write_text(json.dumps(asdict(state), indent=2))
    partial.replace(folder / RUN_FILE)


def read_run(folder: Path) -> RunState | None:
    """The state a stack wrote there; None where there is none, or it is not ours."""
    try:
        found = json.loads((folder / RUN_FILE).read_text())
        services = {name: ServiceState(**one) for name, one in found.pop("services").items()}
        return RunState(**found, services=services)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def runs_folder(state_dir: Path) -> Path:
    return state_dir / "runs"


def alive_runs(state_dir: Path) -> list[RunState]:
    """The stacks that run now, the default one first, then the newest."""
    folder = runs_folder(state_dir)
    names = sorted((entry.name for entry in folder.iterdir()), reverse=True) if folder.is_dir() else []
    found = [state for name in names if (state := read_run(folder / name)) is not None and state.alive]
    return sorted(found, key=lambda state: state.name != "default")


def unfinished_runs(state_dir: Path) -> list[tuple[Path, RunState]]:
    """Runs that were killed before they could remove what they had made, with their folders."""
    folder = runs_folder(state_dir)
    found = [(entry, read_run(entry)) for entry in folder.iterdir()] if folder.is_dir() else []
    return [(entry, run) for entry, run in found if run is not None and run.leaves_namespace and not run.alive]


def prune_runs(state_dir: Path) -> None:
    """Removes the folders of old runs; what is alive, and the default stack's, stays."""
    folder = runs_folder(state_dir)
    if not folder.is_dir():
        return
    ended = [
        entry for entry in folder.iterdir()
        if entry.is_dir() and entry.name != "default" and not ((state := read_run(entry)) and state.alive)
    ]  # fmt: skip
    ended.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in ended[KEPT_RUNS:]:
        shutil.rmtree(entry, ignore_errors=True)
