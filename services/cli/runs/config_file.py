"""`--config run.toml`: a command's options by the names of its flags. What is given as a flag wins over the file.

history = "BANKNIFTY.parquet"       symbol = ["BANKNIFTY"]      from = 2024-01-01       seed = 7
strategy = "ema_cross"              [param]  fast = 9           [limit]  daily_max_loss = 5000
"""

import json
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tradebus.kernel.errors import InvalidInput, nearest

_BYTES_MAX = 1_000_000


def _take(context: typer.Context, path: Path | None) -> Path | None:
    """Makes the file's values the defaults of the command's options."""
    if path is None or context.resilient_parsing:
        return path
    options = {
        name.removeprefix("--"): parameter
        for parameter in context.command.params
        for name in parameter.opts
        if name.startswith("--") and name not in ("--config", "--help")
    }
    defaults: dict[str, Any] = {}
    for key, value in read_config(path).items():
        name = key.replace("_", "-")
        if name not in options:
            raise InvalidInput(f"--config {path}: {key}: no such option{nearest(name, options)}")
        parameter: Any = options[name]
        if parameter.name in defaults:
            raise InvalidInput(f"--config {path}: {key}: is given twice, as {name} too")
        many, flag = bool(parameter.multiple), bool(parameter.is_flag)
        defaults[parameter.name] = _as_given(value, where=f"--config {path}: {key}", many=many, flag=flag)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="A TOML file of these options by their names; flags win.", callback=_take, is_eager=True
    ),
]


def read_config(path: Path) -> Mapping[str, Any]:
    """Raises InvalidInput where it cannot be read, with line and column where it is no TOML."""
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise InvalidInput(f"--config {path}: is larger than {_BYTES_MAX:,} bytes: this is no file of options")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"--config {path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # TOML, and text that is no UTF-8
        raise InvalidInput(f"--config {path}: {error}") from error


def _as_given(value: Any, *, where: str, many: bool, flag: bool) -> Any:
    """A value of the file as the flag would have it. Raises InvalidInput naming what does not fit."""
    if flag:
        if not isinstance(value, bool):
            raise InvalidInput(f"{where}: write true or false")
        return value
    if isinstance(value, bool):
        raise InvalidInput(f"{where}: takes a value, not {str(value).lower()}")
    if many:
        return _several(value, where)
    if isinstance(value, list):
        return ",".join(_text(one, where) for one in value)
    return _text(value, where)


def _several(value: Any, where: str) -> list[str]:
    """`{fast = 9}` and `["fast=9"]` are the same."""
    if isinstance(value, Mapping):
        return [pair for name, one in value.items() for pair in _pairs(str(name), one, where)]
    return [_text(one, where) for one in (value if isinstance(value, list) else [value])]


def _pairs(name: str, value: Any, where: str) -> list[str]:
    if isinstance(value, Mapping):  # [param.orb], [limit.ravi]
        return [pair for inner, one in value.items() for pair in _pairs(f"{name}.{inner}", one, where)]
    if isinstance(value, date):  # an instant too
        return [f"{name}={value.isoformat()}"]
    try:
        return [f"{name}={value if isinstance(value, str) else json.dumps(value, allow_nan=False)}"]
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{where}: {name}: cannot be used as a value") from error


def _text(value: Any, where: str) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{where}: write a text or a number")
