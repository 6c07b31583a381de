"""What went into a run, by digests: whoever has the same inputs has the same run."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput

_CHUNK: Final = 1 << 20
_PACKAGES: Final = ("tradebus", "services")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files by their names. Raises InvalidInput where one cannot be read."""
    digest = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    try:
        for file in files:
            if file is not path:
                digest.update(f"\0{file.relative_to(path)}\0".encode())
            with file.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}") from error
    return f"sha256:{digest.hexdigest()}"


def market_inputs(
    history: Path | None,
    stored: str | None,
    *,
    symbols: Sequence[str],
    days: Sequence[date],
    reading: Mapping[str, Any],
) -> dict[str, Any]:
    """Where a run's prices came from: a file and how it was read, or a namespace's book. Raises InvalidInput where the
    file cannot be read."""
    file = None
    if history is not None:
        file = {"path": str(history.resolve()), "digest": file_digest(history), "reading": dict(reading)}
    return {
        "history": file,
        "stored": stored,
        "symbols": list(symbols),
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
    }


def run_inputs(sessions: Sequence[SessionSpec], market: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """`market` says where the prices came from and how they were read, digests included."""
    rules = os.environ.get("TRADEBUS_MARKET_RULES")
    return {
        "version": version("tradebus"),
        "program": program_digest(),
        **market,
        "seed": seed,
        "market_rules": {"path": rules, "digest": file_digest(Path(rules))} if rules else None,
        "sessions": [_session(spec) for spec in sorted(sessions, key=lambda one: (one.user_id, one.session_id))],
    }


def flat(inputs: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Every input under one name: `sessions[0].limits.max_leverage`."""
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        here = f"{before}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{here}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, one in enumerate(value):
                found |= flat(one, f"{here}[{number}].")
        else:
            found[here] = value
    return found


def _session(spec: SessionSpec) -> dict[str, Any]:
    told = spec.model_dump(mode="json", exclude={"session_id"})
    return told | {"strategies": [_strategy(one) for one in spec.strategies]}


def _strategy(spec: StrategySpec) -> dict[str, Any]:
    """A user's own file by its digest; a built-in one is part of the program, whose digest stands beside."""
    return spec.model_dump(mode="json") | {"file_digest": file_digest(Path(spec.path)) if spec.path else None}


@cache
def program_digest() -> str:
    """Of all the program's own source: the version's number alone does not change with every line."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        found = find_spec(package)
        for root in found.submodule_search_locations or () if found is not None else ():
            for file in sorted(Path(root).rglob("*.py")):
                digest.update(f"\0{package}/{file.relative_to(root)}\0".encode())
                digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()}"
