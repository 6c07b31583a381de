"""What START_TRADING's data may say of paper."""

from typing import Any

from services.gateway.domain.limits import read_paper
from services.gateway.domain.problems import Problems
from tradebus.contracts.orders import FillModel, PriceOrigin, Tariff
from tradebus.contracts.sessions import PaperSettings


def read(value: Any) -> tuple[PaperSettings | None, dict[str, str]]:
    problems = Problems()
    settings = read_paper(value, problems)
    return settings, {error.field: error.problem for error in problems.errors}


def test_charges_are_a_word_of_the_tariffs() -> None:
    certain = PaperSettings(fills=FillModel.CONSERVATIVE)
    assert read({"charges": "dhan"}) == (certain.model_copy(update={"charges": Tariff.DHAN}), {})
    assert read({"charges": None}) == (certain, {})
    _, errors = read({"charges": "zerodah"})
    assert errors == {"data.paper.charges": "unknown (did you mean 'zerodha'?); known: none, zerodha, dhan, upstox"}
    assert list(read({"charges": 3})[1]) == ["data.paper.charges"]


def test_who_names_no_fill_model_gets_the_conservative_one_and_a_session_of_before_keeps_its_own() -> None:
    certain = PaperSettings(fills=FillModel.CONSERVATIVE)
    assert read(None) == read({}) == read({"fills": None}) == (certain, {})
    assert read({"fills": "touch"}) == (PaperSettings(fills=FillModel.TOUCH), {})
    assert not PaperSettings.model_validate_json('{"seed": 1, "latency_ms": 150}').is_conservative
    _, errors = read({"fills": "optimistic", "prices": "candles", "participation_pct": 0, "impact_bps": -1})
    assert errors["data.paper.fills"] == "unknown; known: touch, conservative"
    assert errors["data.paper.prices"].startswith("unknown")
    assert {"data.paper.participation_pct", "data.paper.impact_bps"} <= set(errors)
    bars, _ = read({"prices": "bars"})
    assert bars is not None
    assert bars.is_worst_first
    assert bars.prices is PriceOrigin.BARS
