"""From the bytes of a command to a checked `ExternalCommand`, or to every reason why it is none.

Invariants (property-tested): any bytes give a command or at least one problem, and no other exception; no problem
repeats the value of a field; numbers keep their exact decimal value; every text can be stored by Postgres.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.gateway.domain.problems import Problems, child, kind_of, without_secrets
from tradebus.contracts.sessions import FieldError
from tradebus.kernel.errors import nearest

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 24  # below the precision of decimal arithmetic, so that no amount is rounded on the way to paise
_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}")
_COMMAND_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_FIELDS = ("action", "user_id", "data", "command_id")
WHOLE = "command"  # the field name of an error that concerns the body as a whole


class CommandAction(StrEnum):
    START = "START_TRADING"
    STOP = "STOP_TRADING"
    PAUSE = "PAUSE_TRADING"
    RESUME = "RESUME_TRADING"
    FLATTEN = "FLATTEN"
    SETTLE = "SETTLE"
    SET_LIMITS = "SET_LIMITS"
    SET_SHARED_LIMITS = "SET_SHARED_LIMITS"
    PLACE = "PLACE_MANUAL"
    CLOSE = "CLOSE_POSITION"
    SIGNAL = "SIGNAL"
    APPROVE = "APPROVE_ENTRY"
    REFUSE = "REFUSE_ENTRY"
    KILL = "KILL"


OF_ALL = frozenset({CommandAction.KILL, CommandAction.SET_SHARED_LIMITS})


@dataclass(frozen=True, slots=True)
class ExternalCommand:
    """One command as an application sent it. `user_id` is None only for what concerns several (`OF_ALL`)."""

    action: CommandAction
    user_id: str | None
    data: dict[str, Any]
    command_id: str | None


@dataclass(frozen=True, slots=True)
class RefusedCommand:
    """Why bytes are no command. `action`, `user_id` and `command_id` where they could be read."""

    errors: tuple[FieldError, ...]
    action: str | None = None
    user_id: str | None = None
    command_id: str | None = None


def read_command(body: bytes) -> ExternalCommand | RefusedCommand:
    """The command in `body`; its `data` is a tree of plain JSON values but not yet looked into."""
    problems = Problems()
    fields = read_object(body, problems)
    if fields is None:
        return RefusedCommand(problems.errors)
    problems.unknown_keys("", fields, _FIELDS)
    action = _action(fields.get("action"), problems)
    user_id = _user_id(fields, action, problems)
    command_id = _command_id(fields, problems)
    data = fields.get("data", {})
    if not isinstance(data, dict):
        problems.add("data", f"must be an object, not {kind_of(data)}")
        data = {}
    if problems or action is None:
        # The action only where it is one, the rest cleaned of what could be a secret.
        return RefusedCommand(without_secrets(problems.errors, fields), action, user_id, command_id)
    return ExternalCommand(action, user_id, data, command_id)


def read_object(body: bytes, problems: Problems) -> dict[str, Any] | None:
    """The JSON object in `body`, a tree of plain values that can be stored; None where it is no object. Adds to
    `problems` what is wrong in it."""
    fields = _decode(body, problems)
    if fields is not None:
        _check_tree(fields, problems)
    return fields


def _decode(body: bytes, problems: Problems) -> dict[str, Any] | None:
    if len(body) > MAX_BYTES:
        problems.add(WHOLE, f"{len(body)} bytes are more than the {MAX_BYTES} a command may have")
        return None
    try:
        tree = json.loads(
            body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_twice
        )
    except UnicodeDecodeError as error:
        problems.add(WHOLE, f"is not UTF-8 text (byte {error.start})")
    except json.JSONDecodeError as error:
        problems.add(WHOLE, f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}")
    except RecursionError:
        problems.add(WHOLE, f"is nested deeper than {MAX_DEPTH} levels")
    except _Twice as error:
        problems.add(WHOLE, f"names the field {child('', str(error))} twice in one object")
    except (ValueError, ArithmeticError):
        problems.add(WHOLE, "holds a number that no field can take")
    else:
        if isinstance(tree, dict):
            return tree
        problems.add(WHOLE, f"must be a JSON object, not {kind_of(tree)}")
    return None


class _Twice(ValueError):
    pass


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field that is named twice would silently mean its last value; with money on it that is an error."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check_tree(tree: dict[str, Any], problems: Problems) -> None:
    for path, value in _walk(tree, "", 1):
        if isinstance(value, str) and ("\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
            problems.add(path or WHOLE, "holds a character that cannot be stored (NUL or half a surrogate pair)")
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            problems.add(path, "is an integer beyond 64 bits")
        elif isinstance(value, Decimal) and (value.adjusted() > 18 or len(value.as_tuple().digits) > MAX_DIGITS):
            problems.add(path, "is a number beyond what a field can take")
        elif isinstance(value, _TooDeep):
            problems.add(path, f"is nested deeper than {MAX_DEPTH} levels")


class _TooDeep:
    pass


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Every scalar of the tree, and every key, with its path. Stops below MAX_DEPTH with one _TooDeep."""
    if depth > MAX_DEPTH:
        yield path, _TooDeep()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _walk(item, child(path, key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def _action(value: Any, problems: Problems) -> CommandAction | None:
    names = [action.value for action in CommandAction]
    if value is None:
        problems.add("action", f"is missing; one of {', '.join(names)}")
    elif not isinstance(value, str):
        problems.add("action", f"must be text, not {kind_of(value)}")
    elif value not in names:
        problems.add("action", f"unknown action{nearest(value, names) or '; known: ' + ', '.join(names)}")
    else:
        return CommandAction(value)
    return None


def _user_id(fields: dict[str, Any], action: CommandAction | None, problems: Problems) -> str | None:
    value = fields.get("user_id")
    if value is None and (action in OF_ALL or action is None):
        return None
    if value is None:
        problems.add("user_id", "is missing")
    elif not isinstance(value, str):
        problems.add("user_id", f'must be text, not {kind_of(value)}: write "123", not 123')
    elif (problem := user_id_problem(value)) is not None:
        problems.add("user_id", problem)
    else:
        return value
    return None


def user_id_problem(text: str) -> str | None:
    """What is wrong with a user's id, None where nothing is."""
    if _USER_ID.fullmatch(text):
        return None
    return "must be 1 to 64 letters, digits or . _ @ : - and begin with a letter or digit"


def _command_id(fields: dict[str, Any], problems: Problems) -> str | None:
    value = fields.get("command_id")
    if value is None:
        return None
    if isinstance(value, str) and _COMMAND_ID.fullmatch(value):
        return value
    problems.add("command_id", "must be text of 1 to 128 letters, digits or . _ : -")
    return None
