"""Whose orders, whose prices, which login and which mode a START_TRADING asks for.

Invariants (property-tested with the rest of START_TRADING): paper is never put in place of another mode; a real order
gateway is reached only with mode "live"; a real broker, one that is no sandbox on this machine, only behind the gates
of preflight, which whoever carries the START out asks (`needs_preflight`); the access token is in no problem and in
nothing that is returned.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.gateway.domain.problems import Problems, kind_of
from tradebus.brokers.registry import WITH_TRIGGERS
from tradebus.contracts.sessions import Mode, ProtectionKind
from tradebus.kernel.errors import InvalidInput, nearest

PAPER = "paper"
LIVE_BROKERS = ("kite", "dhan", "upstox")
BROKERS = (PAPER, *LIVE_BROKERS)
FIELDS = ("broker", "data_broker", "access_token", "client_id", "credential", "mode", "protection")
_NO_TRIGGERS = {
    "dhan": "its forever orders are for positions that are carried, and those here are intraday",
    "upstox": "its GTT opens the position itself",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CLIENT_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOKEN = re.compile(r"[!-~]+")
_TOKEN_MAX = 8192
_MISSING_FOR_MODE = {
    Mode.REPLAY: "a replay needs a recorded day, and this version records none; nothing was started",
    Mode.BACKTEST: "a backtest is run by `tradebus trade --history`, not by a command; nothing was started",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What brokers there are here. `feed` is the feed in force (a broker's name, "generated", "history"), "" where
    none has begun; `sandboxed` the brokers whose orders go to a sandbox on this machine; `applications` those whose
    client id is stored. `credential_broker` gives the broker of a stored credential and raises InvalidInput."""

    feed: str = ""
    sandboxed: frozenset[str] = frozenset()
    applications: frozenset[str] = frozenset()
    credential_broker: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class OrderRoute:
    mode: Mode
    broker: str
    data_broker: str | None
    credential: str | None


def read_route(data: dict[str, Any], *, user_id: str, reach: Reach, problems: Problems) -> OrderRoute:
    """What `data` says of brokers; meaningless where something was added to `problems`."""
    mode = _mode(data, problems)
    broker = _broker(data, problems)
    data_broker = _data_broker(data, reach, problems)
    credential = _credential(data, problems)
    token = data.get("access_token")
    if broker != PAPER:
        if credential is None and isinstance(token, str) and token:
            credential = credential_name(user_id, broker)
            _check_client(data, broker, reach, problems)
        elif credential is not None:
            _check_stored(credential, broker, reach, problems)
    _check_pair(mode, broker, credential, reach, problems)
    if mode is not Mode.PAPER and broker != PAPER and broker not in reach.sandboxed and isinstance(token, str):
        problems.add(
            "data.access_token", f"the gates look at a stored login: `tradebus login --broker {broker}` stores one, "
            "data.credential names it",
        )  # fmt: skip
    return OrderRoute(mode, broker, data_broker, credential)


def read_protection(value: Any, route: OrderRoute, *, reach: Reach, problems: Problems) -> ProtectionKind | None:
    """What stands at the broker for a position; None, a stop, where `data` does not say. A trigger of its own is
    refused by name where the broker has none for a position that is there already."""
    names = [kind.value for kind in ProtectionKind]
    if value is None or value == ProtectionKind.STOP.value:
        return None
    if not isinstance(value, str):
        problems.add("data.protection", f"must be text, not {kind_of(value)}")
    elif value not in names:
        problems.add("data.protection", f"unknown protection{nearest(value, names) or '; known: ' + ', '.join(names)}")
    elif route.broker == PAPER:
        return ProtectionKind.GTT
    elif route.broker not in WITH_TRIGGERS:
        offered, why = ", ".join(sorted({PAPER, *WITH_TRIGGERS})), _NO_TRIGGERS.get(route.broker, "it has none")
        problems.add("data.protection", f'"{value}" is offered at {offered}, not at {route.broker}: {why}')
    elif route.broker not in reach.sandboxed:
        problems.add(
            "data.protection", f'"{value}" is not verified at the real {route.broker} for intraday positions: leave it '
            "out, a stop rests at the exchange then",
        )  # fmt: skip
    else:
        return ProtectionKind.GTT
    return None


def needs_preflight(mode: Mode, broker: str, *, sandboxed: frozenset[str]) -> bool:
    """Whether the gates are asked before the session is there: orders may reach a real broker, or a dry run wants to
    know whether they might."""
    return broker != PAPER and (mode is Mode.DRY_RUN or (mode is Mode.LIVE and broker not in sandboxed))


def credential_name(user_id: str, broker: str) -> str:
    """The name under which a token that START_TRADING carried is stored."""
    return f"{user_id}.{broker}"


def _mode(data: dict[str, Any], problems: Problems) -> Mode:
    value = data.get("mode", Mode.PAPER.value)
    names = [mode.value for mode in Mode]
    if not isinstance(value, str):
        problems.add("data.mode", f"must be text, not {kind_of(value)}")
    elif value not in names:
        problems.add("data.mode", f"unknown mode{nearest(value, names) or '; known: ' + ', '.join(names)}")
    elif Mode(value) in _MISSING_FOR_MODE:
        problems.add("data.mode", _MISSING_FOR_MODE[Mode(value)])
    else:
        return Mode(value)
    return Mode.PAPER


def _broker(data: dict[str, Any], problems: Problems) -> str:
    value = data.get("broker", PAPER)
    if not isinstance(value, str):
        problems.add("data.broker", f"must be text, not {kind_of(value)}")
    elif value not in BROKERS:
        problems.add("data.broker", f"unknown broker{nearest(value, BROKERS) or '; known: ' + ', '.join(BROKERS)}")
    else:
        return value
    return PAPER


def _data_broker(data: dict[str, Any], reach: Reach, problems: Problems) -> str | None:
    """The broker whose prices the session gets: the one of the feed in force, whether named or not."""
    value = data.get("data_broker")
    in_force = reach.feed if reach.feed in LIVE_BROKERS else None
    if value is None or value == in_force:
        return in_force
    if not isinstance(value, str):
        problems.add("data.data_broker", f"must be text, not {kind_of(value)}")
    elif value not in LIVE_BROKERS:
        hint = nearest(value, LIVE_BROKERS) or "; known: " + ", ".join(LIVE_BROKERS)
        problems.add("data.data_broker", f"unknown broker{hint}")
    else:
        feed = reach.feed or "not begun"
        problems.add(
            "data.data_broker", f"the feed in force is {feed}: start market_data with TRADEBUS_FEED={value}, or leave "
            "the field out",
        )  # fmt: skip
    return None


def _credential(data: dict[str, Any], problems: Problems) -> str | None:
    """The name of a stored credential. A token that is carried instead is only looked at here."""
    token, credential = data.get("access_token"), data.get("credential")
    if token is not None and (not isinstance(token, str) or not token):
        problems.add("data.access_token", "must be text that is not empty")
    elif isinstance(token, str) and len(token) > _TOKEN_MAX:
        problems.add("data.access_token", f"must be at most {_TOKEN_MAX} characters")
    elif isinstance(token, str) and not _TOKEN.fullmatch(token):
        problems.add("data.access_token", "must be printable ASCII without spaces: no broker could be sent this")
    if credential is None:
        return None
    if token is not None:
        problems.add("data.credential", "give a credential's name or an access_token, not both")
    if not isinstance(credential, str) or not _NAME.fullmatch(credential):
        problems.add("data.credential", "must be a name of 1 to 64 letters, digits or . _ -")
        return None
    return credential


def _check_client(data: dict[str, Any], broker: str, reach: Reach, problems: Problems) -> None:
    """A token alone opens Upstox; Kite and Dhan also ask whose it is."""
    client_id = data.get("client_id")
    if client_id is not None and (not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id)):
        problems.add("data.client_id", "must be the API key or client id: 1 to 64 letters, digits or . _ -")
    elif client_id is None and broker != "upstox" and broker not in reach.applications:
        what = "the API key" if broker == "kite" else "the client id"
        problems.add(
            "data.client_id", f"is missing: {broker} asks for {what} beside a token; give it, or store it once with "
            f"`tradebus login --broker {broker}`",
        )  # fmt: skip


def _check_stored(credential: str, broker: str, reach: Reach, problems: Problems) -> None:
    if reach.credential_broker is None:
        return
    try:
        stored = reach.credential_broker(credential)
    except InvalidInput:
        # Not repeated: who confuses the two fields has written a token here.
        problems.add("data.credential", f"no login of that name can be opened here: `tradebus login --broker {broker}`")
        return
    if stored != broker:
        problems.add("data.credential", f"is a login at {stored}, and the orders are to go to {broker}")


def _check_pair(mode: Mode, broker: str, credential: str | None, reach: Reach, problems: Problems) -> None:
    """Mode, broker, prices and login must fit each other; what does not is refused, never bent."""
    if mode is Mode.PAPER and broker != PAPER and not problems:
        problems.add(
            "data.broker", f'{broker} takes real orders: ask for mode "live", or leave broker out for simulated fills '
            "(data_broker says whose prices they are filled at)",
        )  # fmt: skip
    if mode is Mode.PAPER and broker == PAPER and credential is not None and not problems:
        problems.add(
            "data.credential", "a session on paper uses no login: leave it out, or ask for mode \"live\" and name the "
            "broker",
        )  # fmt: skip
    if mode not in (Mode.LIVE, Mode.DRY_RUN):
        return
    if broker == PAPER:
        problems.add(
            "data.mode", "live orders need a broker that takes them: name one in data.broker; nothing was started (ask "
            'for "paper" to trade on simulated fills)',
        )  # fmt: skip
        return
    if reach.feed not in LIVE_BROKERS:
        problems.add(
            "data.data_broker", f"orders at a broker need a broker's prices, and the feed in force is "
            f"{reach.feed or 'not begun'}",
        )  # fmt: skip
    if credential is None:
        problems.add("data.credential", f"is missing: name a stored login at {broker}, or give an access_token")
