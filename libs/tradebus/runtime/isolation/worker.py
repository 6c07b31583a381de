"""The process that runs one strategy file: `python -m tradebus.runtime.isolation.worker MEMORY_BYTES`.

It reads questions and writes answers (`wire`), and knows nothing else: no bus, no book, no credential. What the file
prints goes to the error stream. It ends with the service that started it.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from tradebus.config.market_rules import install_market_rules
from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.isolation.wire import TEXT_CHARACTERS_MAX, answer_fields, ask_from, frame, read_frame
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.runner import answer_of
from tradebus.strategies.protocol import Strategy
from tradebus.strategies.raised import error_text, trace_of
from tradebus.strategies.registry import find_strategy, parse_parameters

_FILE_BYTES_MAX = 16 * 1024 * 1024
_OPEN_FILES_MAX = 64


class Instances:
    """The strategy's instances, one for each runner of the session."""

    def __init__(self, strategy: type[Strategy[Any]], parameters: Any) -> None:
        self._strategy, self._parameters = strategy, parameters
        self._made: dict[int, Strategy[Any] | None] = {}

    def answer(self, steps: list[list[Any]]) -> dict[str, Any]:
        answers: list[Any] = []
        failures: dict[int, str] = {}
        for step in steps:
            runner = step[1]
            try:
                answer = self._do(step)
            except BaseException as error:  # noqa: BLE001 -- the user's code may raise anything; no keyboard is here
                trace = trace_of(error)[-TEXT_CHARACTERS_MAX:]
                if step[0] == "make" or step[5] is None:
                    failures.setdefault(runner, trace)
                    continue
                answer = ["raised", error_text(error)[:TEXT_CHARACTERS_MAX], trace]
            if step[0] != "make" and step[5] is not None:
                answers.append(answer)
        return {"answers": answers, "failures": list(failures.items())}

    def _do(self, step: list[Any]) -> Any:
        kind, runner = step[:2]
        if kind == "make":
            self._made[runner] = None
            self._made[runner] = self._strategy(self._parameters)
            return None
        instance = self._made[runner]
        if instance is None:
            raise RuntimeError("the strategy could not be created")
        answer = answer_of(instance, ask_from(step))
        return None if step[5] is None else answer_fields(answer, step[5])


def main() -> None:
    requests, replies = _own_pipes()
    install_market_rules()  # a strategy may ask the calendar
    _limit(int(sys.argv[1]))
    opened = read_frame(requests)
    if opened is None:
        return
    instances = _open(opened, replies)
    while instances is not None and (request := read_frame(requests)) is not None:
        _, cpu_seconds, steps = request
        _limit_cpu(cpu_seconds)
        _write(replies, instances.answer(steps))


def _open(request: list[Any], replies: BinaryIO) -> Instances | None:
    _, path, name, parameters, cpu_seconds = request
    _limit_cpu(cpu_seconds)
    try:
        strategy = find_strategy(StrategySpec(name=name, path=path))
    except InvalidInput as error:
        _write(replies, {"refused": str(error), "problems": None})
        return None
    try:
        parsed = parse_parameters(strategy, parameters)
    except InvalidInput as error:
        _write(replies, {"refused": str(error), "problems": _problems(strategy, parameters)})
        return None
    except BaseException as error:  # noqa: BLE001 -- a validator is the user's code
        text = f"strategy file {path}: its parameters' own check raised {error_text(error)}"
        _write(replies, {"refused": text[:TEXT_CHARACTERS_MAX], "problems": None})
        return None
    _write(replies, {"info": info_of(strategy).as_json()})
    return Instances(strategy, parsed)


def _problems(strategy: type[Strategy[Any]], parameters: dict[str, Any]) -> list[list[str]]:
    """Every bad parameter as [place, pydantic's type, text, what is known]: for who names fields."""
    try:
        strategy.PARAMETERS.model_validate(parameters)
    except ValidationError as error:
        known = ",".join(strategy.PARAMETERS.model_fields)
        return [
            [".".join(str(part) for part in item["loc"]), item["type"], str(item["msg"]), known]
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two ends, moved away from where a file's input() and print() would reach them."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _write(replies: BinaryIO, value: dict[str, Any]) -> None:
    replies.write(frame(value))
    replies.flush()


def _limit(memory_bytes: int) -> None:
    # Where memory runs out all the same, in a container, this process is the one to go.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE_BYTES_MAX),
        (resource.RLIMIT_NOFILE, _OPEN_FILES_MAX),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))


def _limit_cpu(seconds: int) -> None:
    """So much more processor time: a loop without end ends, also where nobody waits for it any more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


if __name__ == "__main__":
    main()
