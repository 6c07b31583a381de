"""What strategies answered and what risk refused, counted: how often, when first, and the first words."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tradebus.kernel.time import ist_datetime

# (strategy, action, reason, how often, when first), as a run's record and the book count them.
AnswerRow = tuple[str, str, str, int, int]
STRATEGY_FAILED: Final = 4  # the exit code of a run in which a strategy failed
_HOLD: Final = "HOLD"
_ERROR: Final = "strategy_error: "
_REASONS_MAX: Final = 10_000  # different ones of a strategy, figures apart
_SHOWN_IN_JSON: Final = 50
_OTHERS: Final = "other reasons"
_FIGURES: Final = re.compile(r"\d[\d.,:]*")


@dataclass(slots=True)
class AnswerReason:
    """Answers that differ in their figures alone: how often, the first one's words and when it was."""

    words: str
    number: int
    first_ns: int
    alike: bool = False  # whether there were others with other figures

    @property
    def shown(self) -> str:
        return f"{self.words} (and the like with other figures)" if self.alike else self.words

    def as_json(self) -> dict[str, Any]:
        return {"reason": self.words, "times": self.number, "first": iso(self.first_ns), "figures_differ": self.alike}


@dataclass(slots=True)
class StrategyAnswers:
    """What one strategy answered: how often each action, and why it held."""

    actions: Counter[str] = field(default_factory=Counter)
    holds: dict[str, AnswerReason] = field(default_factory=dict)
    errors: dict[str, AnswerReason] = field(default_factory=dict)

    @property
    def broken(self) -> int:
        """Answers that could not count and became HOLD."""
        return sum(one.number for one in self.errors.values())

    @property
    def never_counted(self) -> bool:
        """Whether it answered what could not count, and nothing else but HOLD."""
        return self.broken > 0 and set(self.actions) <= {_HOLD}

    def commonest(self, reasons: Mapping[str, AnswerReason], most: int) -> list[AnswerReason]:
        return sorted(reasons.values(), key=lambda one: (-one.number, one.first_ns, one.words))[:most]

    def as_json(self, strategy: str) -> dict[str, Any]:
        return {
            "strategy": strategy,
            "actions": dict(sorted(self.actions.items())),
            "could_not_count": self.broken,
            "errors": [one.as_json() for one in self.commonest(self.errors, _SHOWN_IN_JSON)],
            "holds": [one.as_json() for one in self.commonest(self.holds, _SHOWN_IN_JSON)],
        }


@dataclass(frozen=True, slots=True)
class RiskRefusal:
    """What one rule of risk did with one strategy's entries in one symbol; `detail` is the first one's, with what would
    have had to be different. A HALT that no signal led to has neither strategy nor symbol."""

    user_id: str
    strategy: str
    symbol: str
    verdict: str
    rule: str
    number: int
    first_ns: int
    detail: str

    def as_json(self) -> dict[str, Any]:
        names = ("user_id", "strategy", "symbol", "verdict", "rule")
        told = {name: getattr(self, name) for name in names}
        return {**told, "times": self.number, "first": iso(self.first_ns), "detail": self.detail}


def count_answers(rows: Iterable[AnswerRow]) -> dict[str, StrategyAnswers]:
    """By strategy, in the order of their names."""
    found: dict[str, StrategyAnswers] = {}
    for strategy, action, reason, number, first_ns in rows:
        answers = found.setdefault(strategy, StrategyAnswers())
        answers.actions[action] += number
        if action == _HOLD:
            _count(answers.errors if reason.startswith(_ERROR) else answers.holds, reason, number, first_ns)
    return dict(sorted(found.items()))


def failed_strategies(answers: Mapping[str, StrategyAnswers], raised: Collection[str]) -> list[str]:
    """Strategies that raised, or whose every answer but HOLD could not count: the run says little about them."""
    return sorted({*raised, *(name for name, one in answers.items() if one.never_counted)})


def iso(ts_ns: int) -> str:
    """IST with its offset, for machines."""
    return ist_datetime(ts_ns).isoformat()


def _count(reasons: dict[str, AnswerReason], words: str, number: int, first_ns: int) -> None:
    pattern = _FIGURES.sub("…", words)
    if pattern not in reasons and len(reasons) >= _REASONS_MAX:
        pattern = words = _OTHERS
    before = reasons.get(pattern)
    if before is None:
        reasons[pattern] = AnswerReason(words, number, first_ns)
        return
    before.number += number
    before.alike = before.alike or before.words != words
    if (first_ns, words) < (before.first_ns, before.words):
        before.first_ns, before.words = first_ns, words
