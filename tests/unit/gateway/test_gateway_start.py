"""START_TRADING's data: what it asks for, and what is wrong with it."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.body import ExternalCommand, read_command
from services.gateway.domain.brokers import Reach
from services.gateway.domain.problems import Problems
from services.gateway.domain.start import StartCatalogue, read_start
from tradebus.contracts.instrument_key import Right
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import (
    Mode,
    ProtectionKind,
    ScopeLimits,
    SessionSpec,
    Sizing,
    SizingMode,
    StrategySpec,
    Trailing,
)


def index(number: int, symbol: str) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind="INDEX", market_class="index", underlying=symbol, tick_size_paise=5
    )


CATALOGUE = StartCatalogue(
    instruments=InstrumentMaster([index(1, "BANKNIFTY"), index(2, "NIFTY")], {"NIFTYBANK": "BANKNIFTY"}),
)
WEEKLIES = [
    Instrument(
        instrument_id=10 + number, symbol=f"NFO:NIFTY:2026-12-{day:02d}:26550:CE", exchange="NFO", kind="OPTION",
        market_class="derivative", underlying="NIFTY", tick_size_paise=5, expiry=date(2026, 12, day),
        instrument_key=f"NFO:NIFTY:2026-12-{day:02d}:26550:CE", strike_paise=2_655_000, right=Right.CALL, lot_size=65,
    )
    for number, day in enumerate((1, 8, 15))
]  # fmt: skip
GOOD: dict[str, Any] = {"strategies": ["orb"], "symbols": ["BANKNIFTY"], "capital": 100000}


def read(data: dict[str, Any], catalogue: StartCatalogue = CATALOGUE) -> tuple[SessionSpec | None, dict[str, str]]:
    command = read_command(json.dumps({"action": "START_TRADING", "user_id": "123", "data": data}).encode())
    assert isinstance(command, ExternalCommand)
    problems = Problems()
    spec = read_start(command.data, user_id="123", catalogue=catalogue, problems=problems)
    return spec, {error.field: error.problem for error in problems.errors}


def spec_of(**changes: Any) -> SessionSpec:
    spec, errors = read({**GOOD, **changes})
    assert spec is not None, errors
    return spec


def test_the_least_that_starts_a_session_is_paper_with_the_default_limits() -> None:
    spec = spec_of()
    assert (spec.mode, spec.broker, spec.user_id, spec.capital_paise) == (Mode.PAPER, "paper", "123", 10_000_000)
    assert spec.strategies == (StrategySpec(name="orb"),)


def test_money_is_exact_to_the_paisa() -> None:
    spec = spec_of(capital="1000.10", limits={"daily_max_loss": 2500.55})
    assert spec.capital_paise == 100_010
    assert spec.limits.daily_max_loss_paise == 250_055


def test_aliases_and_underlyings_become_canonical_symbols_once() -> None:
    assert spec_of(symbols=["niftybank", "BANKNIFTY"], underlyings=["NIFTY"]).symbols == ("BANKNIFTY", "NIFTY")


def test_an_access_token_is_accepted_and_kept_nowhere() -> None:
    spec = spec_of(access_token="very-secret-token")
    assert "very-secret-token" not in spec.model_dump_json()


def test_a_login_that_a_paper_session_would_ignore_is_refused() -> None:
    _, errors = read({**GOOD, "credential": "desk_1"})
    assert "a session on paper uses no login" in errors["data.credential"]


def test_strategies_carry_parameters_and_a_path() -> None:
    spec = spec_of(strategies=[{"name": "orb", "parameters": {"length": 5}, "path": "/x/y.py"}, "ema_20_50"])
    assert spec.strategies[0] == StrategySpec(name="orb", parameters={"length": 5}, path="/x/y.py")
    assert spec.strategies[1].name == "ema_20_50"


def test_sizes_budgets_and_a_strategys_limits_in_rupees() -> None:
    spec = spec_of(
        sizing={"mode": "fixed_rupees", "amount": 20_000.5, "by_score": True},
        limits={"symbol_max_loss": 500, "max_orders_per_minute": 3},
        strategies=[{"name": "orb", "limits": {"daily_max_loss": 100}, "budget": "5000", "sizing": {"lots": 2, "mode":
        "fixed_lots"}}, "ema_20_50"],
    )  # fmt: skip
    assert spec.sizing == Sizing(mode=SizingMode.FIXED_RUPEES, amount_paise=2_000_050, by_score=True)
    assert (spec.limits.symbol_max_loss_paise, spec.limits.max_orders_per_minute) == (50_000, 3)
    assert spec.strategies[0] == StrategySpec(
        name="orb", limits=ScopeLimits(daily_max_loss_paise=10_000), budget_paise=500_000,
        sizing=Sizing(mode=SizingMode.FIXED_LOTS, lots=2),
    )  # fmt: skip
    assert spec.strategies[1] == StrategySpec(name="ema_20_50")
    assert spec.trailing_of("orb") is None
    assert SessionSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_strategys_own_trail_stands_in_place_of_the_sessions() -> None:
    spec = spec_of(
        trailing={"distance_r": 1, "step_pct": 50, "after_r": 0.5},
        strategies=[{"name": "orb", "trailing": {"distance": 12.5}}, "ema_20_50"],
    )
    assert spec.trailing_of("orb") == Trailing(distance_paise=1_250)
    assert spec.trailing_of("ema_20_50") == Trailing(distance_r=1.0, step_pct=50.0, after_r=0.5)
    assert SessionSpec.model_validate_json(spec.model_dump_json()) == spec


def at(
    broker: str, *, sandboxed: str = "kite dhan upstox", **changes: Any
) -> tuple[SessionSpec | None, dict[str, str]]:
    live = {} if broker == "paper" else {"mode": "live", "credential": "mine", "limits": {"daily_max_loss_r": 3}}
    reach = Reach(feed="kite", sandboxed=frozenset(sandboxed.split()))
    return read({**GOOD, **live, "broker": broker, **changes}, replace(CATALOGUE, reach=reach))


def test_a_brokers_own_trigger_protects_where_the_broker_has_one_and_it_is_asked_for() -> None:
    for broker in ("kite", "paper"):
        spec, errors = at(broker, protection="gtt")
        assert spec is not None, errors
        assert spec.protection is ProtectionKind.GTT
    assert SessionSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec_of().protection is spec_of(protection="stop").protection is None


@pytest.mark.parametrize(
    ("broker", "value", "said"),
    [
        ("dhan", "gtt", "offered at kite, paper, not at dhan: its forever orders"),
        ("upstox", "gtt", "opens the position itself"), ("kite", "gttt", "did you mean 'gtt'"), ("kite", 1, "text"),
    ],
)  # fmt: skip
def test_protection_that_is_not_offered_is_refused_by_name(broker: str, value: Any, said: str) -> None:
    spec, errors = at(broker, protection=value)
    assert spec is None
    assert list(errors) == ["data.protection"]
    assert said in errors["data.protection"]


def test_at_the_real_broker_it_is_refused_until_somebody_has_verified_it() -> None:
    spec, errors = at("kite", sandboxed="dhan", protection="gtt")
    assert spec is None
    assert "not verified at the real kite" in errors["data.protection"]


LIVE: dict[str, Any] = {**GOOD, "mode": "live", "broker": "upstox", "access_token": "a-token-of-today"}
SANDBOXED = replace(CATALOGUE, reach=Reach(feed="kite", sandboxed=frozenset({"upstox"})))


def test_a_live_session_without_a_days_limit_in_r_is_refused_by_the_fields_name() -> None:
    spec, errors = read(LIVE, SANDBOXED)
    assert spec is None
    assert list(errors) == ["data.limits.daily_max_loss_r"]
    assert "DAILY_MAX_LOSS_R" in errors["data.limits.daily_max_loss_r"]
    spec, errors = read({**LIVE, "limits": {"daily_max_loss_r": 2.5}}, SANDBOXED)
    assert errors == {}
    assert spec is not None
    assert spec.limits.daily_max_loss_r == 2.5


def test_the_desks_own_limit_in_r_holds_for_live_sessions_and_for_no_other() -> None:
    desk = replace(SANDBOXED, daily_max_loss_r=3.0)
    live, errors = read(LIVE, desk)
    assert errors == {}
    assert live is not None
    assert live.limits.daily_max_loss_r == 3.0
    _, errors = read({**LIVE, "limits": {"daily_max_loss_r": 3.5}}, desk)
    assert errors["data.limits.daily_max_loss_r"].startswith("must be at most 3")
    paper, _ = read(GOOD, desk)
    assert paper is not None
    assert paper.limits.daily_max_loss_r is None


def test_limits_may_be_called_risk_limits() -> None:
    assert spec_of(risk_limits={"max_concurrent_trades": 7}).limits.max_concurrent_trades == 7


@pytest.mark.parametrize("mode", ["live", "dry-run", "replay", "backtest"])
def test_another_mode_is_refused_and_never_becomes_paper(mode: str) -> None:
    spec, errors = read({**GOOD, "mode": mode})
    assert spec is None
    assert "nothing was started" in errors["data.mode"]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"broker": "kite"}, "data.broker", "kite takes real orders"),
    ({"broker": "papr"}, "data.broker", "did you mean 'paper'?"),
    ({"broker": 1}, "data.broker", "must be text"),
    ({"mode": "papr"}, "data.mode", "did you mean 'paper'?"),
    ({"mode": None}, "data.mode", "must be text, not null"),
    ({"capital": None}, "data.capital", "is missing"),
    ({"capital": -1}, "data.capital", "must be above 0"),
    ({"capital": 0}, "data.capital", "must be above 0"),
    ({"capital": 1.001}, "data.capital", "finer than one paisa"),
    ({"capital": 10**12}, "data.capital", "at most"),
    ({"capital": "many"}, "data.capital", "must be an amount in rupees"),
    ({"capital": "NaN"}, "data.capital", "must be an amount in rupees"),
    ({"capital": "Infinity"}, "data.capital", "must be above 0 and at most"),
    ({"capital": True}, "data.capital", "not true or false"),
    ({"symbols": []}, "data.symbols", "must not be empty"),
    ({"symbols": "NIFTY"}, "data.symbols", "must be a list, not text"),
    ({"symbols": [1]}, "data.symbols[0]", "must be text"),
    ({"symbols": ["NIFTY", "BANKNIFTI"]}, "data.symbols[1]", "did you mean 'BANKNIFTY'?"),
    (
        {"symbols": ["SENSEX"]},
        "data.symbols[0]",
        "unknown symbol: the feed does not follow it; it follows 2: BANKNIFTY, NIFTY",
    ),
    ({"symbols": ["x" * 100_000]}, "data.symbols[0]", "unknown symbol"),
    ({"symbols": ["NIFTY"] * 201}, "data.symbols", "at most 200"),
    ({"strategies": []}, "data.strategies", "must not be empty"),
    ({"strategies": {"name": "orb"}}, "data.strategies", "must be a list"),
    ({"strategies": [5]}, "data.strategies[0]", "must be a name or an object"),
    ({"strategies": ["orb", "orb"]}, "data.strategies[1]", "a second time"),
    ({"strategies": [{"parameters": {}}]}, "data.strategies[0].name", "must be a strategy's name"),
    ({"strategies": [{"name": "orb", "params": {}}]}, "data.strategies[0].params", "unknown field"),
    ({"strategies": [{"name": "orb", "parameters": []}]}, "data.strategies[0].parameters", "must be an object"),
    (
        {"strategies": [{"name": "orb", "parameters": {"access_token": "x"}}]},
        "data.strategies[0].parameters.access_token",
        "no secret belongs here",
    ),
    ({"symbols": ["hunter2"]}, "data.symbols[0]", "unknown symbol"),
    ({"strategies": [{"name": "orb", "path": 3}]}, "data.strategies[0].path", "must be the path"),
    ({"limits": []}, "data.limits", "must be an object"),
    ({"limits": {"daily_max_los": 1}}, "data.limits.daily_max_los", "did you mean 'daily_max_loss'?"),
    ({"limits": {"daily_max_loss": -5}}, "data.limits.daily_max_loss", "must be above 0"),
    ({"limits": {"max_concurrent_trades": 0}}, "data.limits.max_concurrent_trades", "greater than or equal to 1"),
    ({"limits": {"order_timeout_seconds": 10**12}}, "data.limits.order_timeout_seconds", "equal to 10000000"),
    ({"limits": {"cooldown_seconds": 10**12}}, "data.limits.cooldown_seconds", "equal to 10000000"),
    ({"limits": {"daily_max_loss_r": 0}}, "data.limits.daily_max_loss_r", "greater than 0"),
    ({"limits": {"symbol_max_loss": -1}}, "data.limits.symbol_max_loss", "must be above 0"),
    ({"sizing": 5}, "data.sizing", "must be an object, not a number"),
    ({"sizing": "fixed_lot"}, "data.sizing.mode", "did you mean 'fixed_lots'?"),
    ({"sizing": "fixed_lots"}, "data.sizing.lots", "is missing: mode fixed_lots needs it"),
    ({"sizing": {"mode": "fixed_rupees", "lots": 2}}, "data.sizing.amount", "is missing"),
    ({"sizing": {"mode": "fixed_rupees", "amount": 5, "lots": 2}}, "data.sizing.lots", "says nothing to mode"),
    ({"sizing": {"mode": "fixed_lots", "lots": 0}}, "data.sizing.lots", "greater than or equal to 1"),
    ({"sizing": {"mode": "fixed_rupees", "amount": 0}}, "data.sizing.amount", "must be above 0"),
    ({"trailing": 1}, "data.trailing", "must be an object, not a number"),
    ({"trailing": {}}, "data.trailing", "names no distance: give one of distance_r, distance_pct, distance"),
    ({"trailing": {"distance_r": 1, "distance": 5}}, "data.trailing", "names distance_r and distance: give one of"),
    ({"trailing": {"distanse_r": 1}}, "data.trailing.distanse_r", "did you mean 'distance_r'?"),
    ({"trailing": {"distance_r": 0}}, "data.trailing.distance_r", "greater than 0"),
    ({"trailing": {"distance_pct": 100}}, "data.trailing.distance_pct", "equal to 99"),
    ({"trailing": {"distance": -1}}, "data.trailing.distance", "must be above 0"),
    ({"trailing": {"distance_r": 1, "step": 5}}, "data.trailing.step", "did you mean 'step_pct'?"),
    ({"strategies": [{"name": "orb", "trailing": {}}]}, "data.strategies[0].trailing", "names no distance"),
    ({"strategies": [{"name": "orb", "limits": 3}]}, "data.strategies[0].limits", "must be an object"),
    (
        {"strategies": [{"name": "orb", "limits": {"daily_max_los": 3}}]},
        "data.strategies[0].limits.daily_max_los",
        "did you mean 'daily_max_loss'?",
    ),
    ({"strategies": [{"name": "orb", "budget": 0}]}, "data.strategies[0].budget", "must be above 0"),
    ({"strategies": [{"name": "orb", "sizing": "lots"}]}, "data.strategies[0].sizing.mode", "unknown mode"),
    ({"limits": {"max_lots_per_trade": 10**12}}, "data.limits.max_lots_per_trade", "equal to 1000000000"),
    ({"paper": {"latency_ms": 10**12}}, "data.paper.latency_ms", "equal to 1000000000"),
    ({"paper": {"slippage_bps": 10_000}}, "data.paper.slippage_bps", "less than or equal to 9999"),
    ({"limits": {"max_concurrent_trades": "3"}}, "data.limits.max_concurrent_trades", "valid integer"),
    ({"limits": {"max_concurrent_trades": True}}, "data.limits.max_concurrent_trades", "valid integer"),
    ({"limits": {"max_exposure_pct": 1.5}}, "data.limits.max_exposure_pct", "less than or equal to 1"),
    ({"limits": {"safe_trading_start": "25:00"}}, "data.limits.safe_trading_start", "pattern"),
    ({"limits": {"safe_trading_start": "15:00", "safe_trading_end": "10:00"}}, "data.limits.safe_trading_end", "after"),
    ({"limits": {}, "risk_limits": {}}, "data.risk_limits", "one of the two"),
    ({"paper": 1}, "data.paper", "must be an object"),
    ({"paper": {"sed": 1}}, "data.paper.sed", "did you mean 'seed'?"),
    ({"paper": {"latency_ms": -1}}, "data.paper.latency_ms", "greater than or equal to 0"),
    ({"access_token": 5}, "data.access_token", "must be text"),
    ({"credential": "a b"}, "data.credential", "must be a name"),
    ({"credential": "a", "access_token": "t"}, "data.credential", "not both"),
    ({"data_broker": "kite"}, "data.data_broker", "TRADEBUS_FEED=kite"),
    ({"data_broker": "kits"}, "data.data_broker", "did you mean 'kite'?"),
    ({"data_broker": 3}, "data.data_broker", "must be text"),
    ({"acces_token": "very-secret"}, "data.acces_token", "did you mean 'access_token'?"),
]


@pytest.mark.parametrize(("changes", "field", "problem"), BAD)
def test_a_bad_field_is_named_and_nothing_starts(changes: dict[str, Any], field: str, problem: str) -> None:
    spec, errors = read({**GOOD, **changes})
    assert spec is None
    assert problem in errors[field]


def test_what_is_missing_is_named_all_at_once() -> None:
    spec, errors = read({})
    assert spec is None
    assert set(errors) == {"data.strategies", "data.symbols", "data.capital"}


@pytest.mark.parametrize("name", ["access_token", "acces_token", "credential", "mode", "broker", "capital"])
def test_no_problem_repeats_what_might_be_a_secret(name: str) -> None:
    secret = "s3cr3t with spaces"
    _, errors = read({**GOOD, name: [secret]})
    _, more = read({**GOOD, name: secret})
    assert secret not in json.dumps([errors, more])


scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = [
    "broker",
    "mode",
    "strategies",
    "symbols",
    "underlyings",
    "capital",
    "limits",
    "risk_limits",
    "paper",
    "credential",
    "data_broker",
    "access_token",
    "client_id",
]


@given(st.dictionaries(st.sampled_from(names), trees, max_size=4))
def test_any_data_gives_a_spec_or_a_reason(changes: dict[str, Any]) -> None:
    command = read_command(
        json.dumps({"action": "START_TRADING", "user_id": "1", "data": {**GOOD, **changes}}).encode()
    )
    if not isinstance(command, ExternalCommand):
        return
    problems = Problems()
    spec = read_start(command.data, user_id="1", catalogue=CATALOGUE, problems=problems)
    assert (spec is None) == bool(problems)


@given(
    st.dictionaries(
        st.sampled_from(
            ["daily_max_loss", "daily_max_loss_pct", "max_leverage", "cooldown_seconds", "hard_trading_end"]
        ),
        scalars,
    )
)
def test_any_limits_give_a_spec_or_a_reason(limits: dict[str, Any]) -> None:
    command = read_command(
        json.dumps({"action": "START_TRADING", "user_id": "1", "data": {**GOOD, "limits": limits}}).encode()
    )
    if not isinstance(command, ExternalCommand):
        return
    problems = Problems()
    spec = read_start(command.data, user_id="1", catalogue=CATALOGUE, problems=problems)
    assert (spec is None) == bool(problems)


@given(st.integers(1, 10**13))
def test_every_amount_of_whole_paise_is_exact(paise: int) -> None:
    assert spec_of(capital=f"{paise // 100}.{paise % 100:02d}").capital_paise == paise


def test_a_contract_is_named_by_its_key_and_an_expired_one_by_nothing() -> None:
    instruments = InstrumentMaster(WEEKLIES, {"NIFTY-Dec2026-26550-CE": WEEKLIES[0].symbol})
    catalogue = StartCatalogue(instruments=instruments, market_day=date(2026, 12, 2))
    first, second, third = (one.symbol for one in WEEKLIES)
    spec, errors = read({**GOOD, "symbols": [third, second.lower()]}, catalogue)
    assert spec is not None, errors
    assert spec.symbols == (third, second)
    for name in (first, "NIFTY-Dec2026-26550-CE"):
        spec, errors = read({**GOOD, "symbols": [third, name]}, catalogue)
        assert spec is None
        assert errors == {
            "data.symbols[1]": f"{first} expired on 2026-12-01, it is 2026-12-02: name a contract that trades"
        }
    on_its_day = StartCatalogue(instruments=instruments, market_day=date(2026, 12, 1))
    assert read({**GOOD, "symbols": [first]}, on_its_day)[1] == {}


def test_of_many_instruments_the_first_underlyings_are_named_and_all_are_counted() -> None:
    followed = [index(number, f"INDEX{number:02d}") for number in range(100, 111)]
    _, errors = read({**GOOD, "symbols": ["SENSEX"]}, StartCatalogue(InstrumentMaster([*WEEKLIES, *followed])))
    assert errors["data.symbols[0]"].endswith(
        "it follows 14: " + ", ".join(f"INDEX{n}" for n in range(100, 110)) + ", …"
    )
    _, errors = read({**GOOD, "symbols": ["SENSEX"]}, StartCatalogue(InstrumentMaster([])))
    assert errors["data.symbols[0]"].endswith("it follows 0: nothing yet")
