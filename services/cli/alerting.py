"""`tradebus alerts`: the stored sinks. Nothing of one but its name and kind is printed."""

from json import JSONDecodeError, loads
from pathlib import Path

from services.cli.output import print_json
from services.cli.place import credentials_key, state_dir
from services.gateway.alerts.sinks import NotTold, OpenSink, open_sink
from services.gateway.alerts.stored import AlertSinks, read_sink
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.ids import RandomIds

_BYTES_MAX = 64 * 1024


def stored_sinks() -> AlertSinks:
    """Those of the state folder, opened with TRADEBUS_CREDENTIALS_KEY where it is set."""
    return AlertSinks(state_dir(), key=credentials_key())


def add_sink(name: str, file: Path, *, json: bool) -> None:
    """Raises InvalidInput naming the file and every bad field."""
    at = f"--file {file}"
    try:
        text = file.expanduser().read_bytes()[: _BYTES_MAX + 1].decode()
        content = loads(text) if len(text) <= _BYTES_MAX else None
    except OSError as error:
        raise InvalidInput(f"{at}: cannot be read: {error.strerror}") from None
    except JSONDecodeError as error:
        raise InvalidInput(f"{at}: is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise InvalidInput(f"{at}: is no JSON text") from None
    config = read_sink(name, content, number=RandomIds().new_id(), at=at)
    stored_sinks().put(config)
    if json:
        print_json({"command": "alerts add", "name": name, "kind": config.kind})
        return
    print(f"alerts are told to {name} ({config.kind}) from now on: `tradebus alerts test {name}` tries it")


def list_sinks(*, json: bool) -> None:
    """Raises InvalidInput for one that cannot be opened."""
    kept = stored_sinks()
    rows = [{"name": name, "kind": kept.get(name).kind} for name in kept.names()]
    if json:
        print_json({"command": "alerts list", "sinks": rows})
        return
    for row in rows:
        print(f"{row['name']}: {row['kind']}")
    if not rows:
        print("nobody is told outside of this terminal: `tradebus alerts add` names a place")


async def try_sink(name: str, *, json: bool, open_sink: OpenSink = open_sink) -> None:
    """Raises InvalidInput where there is none of that name, TradebusError where it does not take the message."""
    config = stored_sinks().get(name)
    sink = open_sink(config)
    try:
        await sink.tell("tradebus: a test; alerts arrive here", [])
    except NotTold as error:
        raise TradebusError(f"{name} ({config.kind}) did not take it: {error}") from None
    finally:
        await sink.close()
    if json:
        print_json({"command": "alerts test", "name": name, "kind": config.kind})
        return
    print(f"{name} ({config.kind}) has taken a test message")


def remove_sink(name: str, *, json: bool) -> None:
    """Raises InvalidInput where there is none of that name."""
    stored_sinks().remove(name)
    if json:
        print_json({"command": "alerts remove", "name": name})
        return
    print(f"{name} is told nothing more")
