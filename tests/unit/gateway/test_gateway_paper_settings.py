"""What START_TRADING's data may say of paper."""

from typing import Any

from services.gateway.domain.limits import read_paper
from services.gateway.domain.problems import Problems
from tradebus.contracts.sessions import PaperSettings, Tariff


def read(value: Any) -> tuple[PaperSettings | None, dict[str, str]]:
    problems = Problems()
    settings = read_paper(value, problems)
    return settings, {error.field: error.problem for error in problems.errors}


def test_charges_are_a_word_of_the_tariffs() -> None:
    assert read({"charges": "dhan"}) == (PaperSettings(charges=Tariff.DHAN), {})
    assert read({"charges": None}) == (PaperSettings(), {})
    _, errors = read({"charges": "zerodah"})
    assert errors == {"data.paper.charges": "unknown (did you mean 'zerodha'?); known: none, zerodha, dhan, upstox"}
    assert list(read({"charges": 3})[1]) == ["data.paper.charges"]
