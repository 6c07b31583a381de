"""What a person is told of their strategies' errors, the same after `trade` and `backtest`."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.cli.output import say
from services.cli.reports.answers import StrategyAnswers, failed_strategies
from tradebus.kernel.time import ist_datetime

_OWN_MODULE = re.compile(r"^tradebus_user_strategy_[0-9a-f]+\.")  # the name a loaded file has here
_ERRORS_SHOWN = 5
_RAISED = "strategy raised"  # as the strategy service logs it, with the traceback


def tell_errors(
    answers: Mapping[str, StrategyAnswers], raised: Sequence[tuple[str, str]], *, files: Collection[str]
) -> list[str]:
    """Says what went wrong; returns the strategies that failed (`answers.failed_strategies`).

    `raised`: (strategy, traceback) of the first error of each session and symbol. `files`: the users' own, which are
    named with the line.
    """
    for line in raised_lines(raised, files=files):
        say(line)
    for strategy, one in answers.items():
        if not one.broken:
            continue
        errors = one.commonest(one.errors, len(one.errors))
        say(f"strategy {strategy!r}: answers that could not count and became HOLD: {one.broken:,}")
        for error in errors[:_ERRORS_SHOWN]:
            first = f"{ist_datetime(error.first_ns):%Y-%m-%d %H:%M:%S} IST"
            say(f"strategy {strategy!r}: {error.number:,} times, first at {first}: {error.shown}")
        if len(errors) > _ERRORS_SHOWN:
            say(f"strategy {strategy!r}: and {len(errors) - _ERRORS_SHOWN:,} other errors")
    failed = failed_strategies(answers, [strategy for strategy, _ in raised])
    for strategy in failed:
        say(f"strategy {strategy!r} FAILED: this run says little about it")
    return failed


def raised_lines(raised: Iterable[tuple[str, str]], *, files: Collection[str]) -> list[str]:
    """Each error once, in the order of `raised`, with its file and line."""
    return list({f"strategy {strategy!r} raised: {_said(trace, files)}": None for strategy, trace in raised})


def files_of(users: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The strategy files that START_TRADING's data names."""
    items = [one for data in users.values() for one in data["strategies"] if isinstance(one, dict)]
    return {str(one["path"]) for one in items if "path" in one}


def raised_in(log: Path) -> list[tuple[str, str]]:
    """(strategy, traceback) of what the strategy service has logged, once for each session and symbol. A service that
    was started again says it again."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if _RAISED not in line:
                    continue
                try:
                    fields = json.loads(line)
                    key = (str(fields["session_id"]), str(fields["strategy"]), str(fields["symbol"]))
                    if fields["event"] == _RAISED:
                        found.setdefault(key, (key[1], str(fields["traceback"])))
                except (ValueError, KeyError, TypeError):
                    continue  # another library's line, or one that a kill cut short
    except OSError as error:
        say(f"{log}: cannot be read for what strategies raised: {error.strerror or error}")
    return list(found.values())


def _said(trace: str, files: Collection[str]) -> str:
    """The error's own words, and where in the user's file it was, or where at all."""
    lines = [line.strip() for line in trace.strip().splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    own = [line for line in places if any(line.startswith(f'File "{file}"') for file in files)]
    at = (own or places)[-1:]
    return _OWN_MODULE.sub("", lines[-1]) + "".join(f" ({place}): mend it there; it held instead" for place in at)
