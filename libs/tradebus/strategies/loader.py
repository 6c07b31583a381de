"""Loads a user's own strategy: one Python file with exactly one Strategy class in it.

The file is run as a module of its own each time it is loaded, so what is on disk is what trades. Every problem is one
InvalidInput line that names the file, the line where there is one, and what to do.
"""

import hashlib
import inspect
import io
import os
import stat
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.info import problem_of
from tradebus.strategies.protocol import Strategy, StrategyParameters
from tradebus.strategies.raised import error_text

_BYTES_MAX = 1_000_000


def load_file(path: str | Path) -> type[Strategy[Any]]:
    """The strategy class in the file at `path`. Raises InvalidInput for: no such file, not Python, an error while it
    runs, no strategy in it, several, or one that does not keep the protocol."""
    file = Path(path)
    module = _run(file, _read(file))
    try:
        return _class_in(module, where=f"strategy file {path}")
    except (InvalidInput, KeyboardInterrupt):
        raise
    except BaseException as error:  # whoever looks at what the file has made runs it as well
        raise InvalidInput(f"strategy file {path}{_line_of(error, file)}: {error_text(error)}") from error


def _class_in(module: ModuleType, *, where: str) -> type[Strategy[Any]]:
    own = [item for item in vars(module).values() if inspect.isclass(item) and item.__module__ == module.__name__]
    found = [item for item in own if issubclass(item, Strategy)]
    # A base class shared by others in the file is not meant to trade itself.
    concrete = [item for item in found if not inspect.isabstract(item)]
    if len(concrete) > 1:
        names = ", ".join(sorted(item.__name__ for item in concrete))
        raise InvalidInput(f"{where}: has {len(concrete)} Strategy classes ({names}); keep one per file")
    if concrete:
        return check_class(concrete[0], where=where)
    if found:
        raise InvalidInput(f"{where}: class {found[0].__name__} does not define on_candle")
    for item in own:
        if hasattr(item, "on_candles"):
            raise InvalidInput(
                f"{where}: class {item.__name__} answers in arrays (on_candles); a file's class derives "
                "from Strategy and has on_candle"
            )
        if hasattr(item, "on_candle"):
            raise InvalidInput(
                f"{where}: class {item.__name__} has on_candle but does not derive from "
                "tradebus.strategies.protocol.Strategy"
            )
    raise InvalidInput(f"{where}: has no class that derives from tradebus.strategies.protocol.Strategy")


def check_class(found: object, *, where: str, name: str | None = None) -> type[Strategy[Any]]:
    """`found` as a strategy class that keeps the protocol. Raises InvalidInput starting with `where`."""
    if not (inspect.isclass(found) and issubclass(found, Strategy)):
        raise InvalidInput(f"{where}: is not a class that derives from tradebus.strategies.protocol.Strategy")
    if inspect.isabstract(found):
        raise InvalidInput(f"{where}: class {found.__name__} does not define on_candle")
    problem = _class_problem(found)
    if problem is None and name is not None and name != found.NAME:
        problem = f"NAME is {found.NAME!r}, expected {name!r}"
    if problem is not None:
        raise InvalidInput(f"{where}: class {found.__name__}: {problem}")
    return found


def _class_problem(strategy: type[Strategy[Any]]) -> str | None:
    said = getattr(strategy, "NAME", None), strategy.TIMEFRAME_SECONDS, strategy.WARMUP_CANDLES, strategy.NEEDS
    if (problem := problem_of(*said)) is not None:
        return problem
    parameters = getattr(strategy, "PARAMETERS", None)
    if not (inspect.isclass(parameters) and issubclass(parameters, StrategyParameters)):
        return "PARAMETERS must be a class that derives from tradebus.strategies.protocol.StrategyParameters"
    if inspect.iscoroutinefunction(strategy.on_candle) or inspect.iscoroutinefunction(strategy.on_tick):
        return "on_candle and on_tick must not be async: a strategy does no I/O"
    return None


def _read(file: Path) -> str:
    """Never waits: what is no regular file (a pipe would wait for whoever writes to it) is refused by its kind."""
    if file.suffix != ".py":
        raise InvalidInput(f"strategy file {file}: is not a .py file")
    try:
        number = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(number, "rb") as opened:
            kind = os.fstat(number).st_mode
            if not stat.S_ISREG(kind):
                raise InvalidInput(f"strategy file {file}: is {_kind_of_file(kind)}, not a file")
            content = opened.read(_BYTES_MAX + 1)
        if len(content) > _BYTES_MAX:
            raise InvalidInput(f"strategy file {file}: is larger than {_BYTES_MAX} bytes")
        return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise InvalidInput(f"strategy file {file}: is not UTF-8 text") from error
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"strategy file {file}: cannot be read: {text}") from error


def _kind_of_file(mode: int) -> str:
    for is_kind, name in (
        (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    ):  # fmt: skip
        if is_kind(mode):
            return name
    return "something else"


def _run(file: Path, source: str) -> ModuleType:
    try:
        code = compile(source, str(file), "exec")
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InvalidInput(f"strategy file {file}{line}: {text}") from None
    digest = hashlib.blake2b(str(file.resolve()).encode(), digest_size=6).hexdigest()
    module = ModuleType(f"tradebus_user_strategy_{digest}")
    module.__file__ = str(file)
    # Pydantic and dataclasses look annotations up in the module that sys.modules has under the class's __module__.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 -- running the user's own file is the feature
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[module.__name__]
        raise InvalidInput(f"strategy file {file}{_line_of(error, file)}: {error_text(error)}") from error
    return module


def _line_of(error: BaseException, file: Path) -> str:
    """Where in the file it was raised, as words to follow the file's name."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""
