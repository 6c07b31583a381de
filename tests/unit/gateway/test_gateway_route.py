"""Which broker a START_TRADING gets: whose orders, whose prices, which login; and what is refused."""

import json
from typing import Any

import pytest

from services.gateway.domain.brokers import OrderRoute, Reach, needs_preflight, read_route
from services.gateway.domain.problems import Problems
from tradebus.contracts.sessions import Mode
from tradebus.kernel.errors import InvalidInput

STORED = {"mine": "kite", "other": "dhan"}
SECRET = "tok3n-of-somebody"


def broker_of(name: str) -> str:
    if name not in STORED:
        raise InvalidInput(f"credential {name!r} is not stored here")
    return STORED[name]


SANDBOX = Reach(
    feed="dhan", sandboxed=frozenset({"kite", "dhan", "upstox"}), applications=frozenset({"kite"}),
    credential_broker=broker_of,
)  # fmt: skip
REAL = Reach(feed="kite", applications=frozenset({"kite"}), credential_broker=broker_of)
LIVE: dict[str, Any] = {"mode": "live", "broker": "kite", "credential": "mine"}


def route(data: dict[str, Any], reach: Reach = SANDBOX) -> tuple[OrderRoute, dict[str, str]]:
    problems = Problems()
    found = read_route(data, user_id="u1", reach=reach, problems=problems)
    return found, {error.field: error.problem for error in problems.errors}


def test_prices_of_one_broker_and_orders_to_another() -> None:
    found, errors = route({**LIVE, "data_broker": "dhan"})
    assert errors == {}
    assert found == OrderRoute(Mode.LIVE, "kite", "dhan", "mine")


def test_the_prices_are_those_of_the_feed_in_force_without_being_named() -> None:
    assert route(LIVE)[0].data_broker == "dhan"
    assert route({}, Reach(feed="generated"))[0].data_broker is None


def test_paper_fills_may_use_a_brokers_prices() -> None:
    found, errors = route({"data_broker": "dhan"})
    assert errors == {}
    assert found == OrderRoute(Mode.PAPER, "paper", "dhan", None)


def test_a_carried_token_is_named_and_never_repeated() -> None:
    found, errors = route({"mode": "live", "broker": "kite", "access_token": SECRET})
    assert errors == {}
    assert found.credential == "u1.kite"
    assert SECRET not in repr(found)


def test_a_carried_token_needs_its_client_id_where_the_broker_asks_for_it() -> None:
    token = {"mode": "live", "access_token": SECRET}
    assert "the client id" in route({**token, "broker": "dhan"})[1]["data.client_id"]
    assert route({**token, "broker": "dhan", "client_id": "1100"})[1] == {}
    assert route({**token, "broker": "upstox"})[1] == {}


def test_a_real_brokers_orders_wait_for_the_gates_and_never_become_paper() -> None:
    found, errors = route(LIVE, REAL)
    assert errors == {}
    assert (found.mode, found.broker) == (Mode.LIVE, "kite")


@pytest.mark.parametrize(
    ("mode", "broker", "asks"),
    [
        (Mode.LIVE, "kite", True), (Mode.LIVE, "dhan", False), (Mode.DRY_RUN, "dhan", True),
        (Mode.PAPER, "paper", False), (Mode.DRY_RUN, "paper", False),
    ],
)  # fmt: skip
def test_whoever_could_reach_a_real_broker_is_asked_for_the_gates(mode: Mode, broker: str, asks: bool) -> None:
    assert needs_preflight(mode, broker, sandboxed=frozenset({"dhan"})) is asks


BAD: list[tuple[dict[str, Any], Reach, str, str]] = [
    ({"mode": "live"}, SANDBOX, "data.mode", "need a broker that takes them"),
    ({"broker": "kite"}, SANDBOX, "data.broker", 'ask for mode "live"'),
    ({"mode": "live", "broker": "kite"}, SANDBOX, "data.credential", "is missing"),
    ({**LIVE, "credential": "nobody"}, SANDBOX, "data.credential", "no login of that name"),
    ({**LIVE, "credential": "other"}, SANDBOX, "data.credential", "a login at dhan"),
    ({**LIVE, "data_broker": "kite"}, SANDBOX, "data.data_broker", "the feed in force is dhan"),
    ({**LIVE, "broker": "kit"}, SANDBOX, "data.broker", "did you mean 'kite'?"),
    (LIVE, Reach("generated", frozenset({"kite"})), "data.data_broker", "the feed in force is generated"),
    (LIVE, Reach("", frozenset({"kite"})), "data.data_broker", "not begun"),
    ({"mode": "dry-run"}, SANDBOX, "data.mode", "need a broker that takes them"),
    ({"mode": "live", "broker": "kite", "access_token": SECRET}, REAL, "data.access_token", "the gates look at"),
    ({"credential": "mine"}, SANDBOX, "data.credential", "a session on paper uses no login"),
    ({"mode": "live", "broker": "dhan", "access_token": "x", "client_id": 5}, SANDBOX, "data.client_id", "must be"),
    ({"access_token": "x" * 9000}, SANDBOX, "data.access_token", "at most 8192"),
    ({"access_token": "one\ntwo"}, SANDBOX, "data.access_token", "printable ASCII"),
    ({"access_token": "t\u00f6ken"}, SANDBOX, "data.access_token", "printable ASCII"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "reach", "field", "problem"), BAD)
def test_what_does_not_fit_is_named(data: dict[str, Any], reach: Reach, field: str, problem: str) -> None:
    assert problem in route(data, reach)[1][field]


def test_a_token_written_into_the_wrong_field_is_not_repeated() -> None:
    for field in ("credential", "client_id", "broker", "data_broker", "mode"):
        _, errors = route({**LIVE, field: SECRET})
        assert SECRET not in json.dumps(errors), field
