"""One process that runs one strategy file, from the side of the service.

    start ─► opened, its StrategyInfo ─► ask, ask … ─► ended
                  └─► InvalidInput: the file or a parameter is wrong
                                             └─► ProcessEnded: it crashed, left, or did not answer in time (then killed)

Invariants (tested with hostile files): nothing here waits longer than its deadline; whatever the file does, the caller
gets an answer or ProcessEnded; its environment holds no credential.
"""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Any

from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.wire import (
    HEADER_BYTES,
    frame,
    length_of,
    read_json,
    read_reply,
    reply_bytes_max,
    said,
)
from tradebus.strategies.info import StrategyInfo
from tradebus.strategies.raised import clean_text
from tradebus.strategies.registry import check_file_name

_WORDS_KEPT = 300
# What Python and the compiled kernels need to start, and nothing of ours: settings and secrets live there too.
_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "LD_LIBRARY_PATH",
    "TRADEBUS_MARKET_RULES",
)  # fmt: skip


class ProcessEnded(Exception):
    """The process is gone; the text says how. What it held in memory is lost."""


class ParametersRefused(InvalidInput):
    """As InvalidInput; `problems` are [place, type, text, known names], one for each bad parameter."""

    def __init__(self, text: str, problems: list[list[str]]) -> None:
        super().__init__(text)
        self.problems = problems


def environment() -> dict[str, str]:
    """What the process is given of the service's environment."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}


def command(limits: IsolationLimits) -> list[str]:
    return [sys.executable, "-m", "tradebus.runtime.isolation.worker", str(limits.memory_bytes)]


class StrategyProcess:
    """Made by `start`. One question is in hand at a time."""

    def __init__(self, process: asyncio.subprocess.Process, limits: IsolationLimits) -> None:
        self._process, self._limits = process, limits
        self._words = bytearray()  # the end of what it wrote to its error stream
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, spec: StrategySpec, limits: IsolationLimits) -> tuple["StrategyProcess", StrategyInfo]:
        """Raises InvalidInput where the file or a parameter is refused, ProcessEnded where it does not stand up."""
        try:
            spawned = await asyncio.create_subprocess_exec(
                *command(limits),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessEnded(f"could not be started: {error.strerror}") from error
        process = cls(spawned, limits)
        try:
            seconds = limits.start_seconds
            request = ["open", spec.path, spec.name, spec.parameters, limits.cpu_seconds(seconds)]
            reply = await process._exchange(request, seconds=seconds, most=reply_bytes_max(0))
            return process, opened(reply, spec)
        except BaseException:
            await process.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, steps: list[list[Any]]) -> tuple[list[Any], list[tuple[int, str]]]:
        """The answers that are wanted, in order, and (runner, traceback) of what failed unasked. Raises
        ProcessEnded."""
        seconds = self._limits.answer_seconds + len(steps) * self._limits.step_seconds
        request = ["ask", self._limits.cpu_seconds(seconds), steps]
        reply = await self._exchange(request, seconds=seconds, most=reply_bytes_max(len(steps)))
        try:
            return read_reply(reply, steps)
        except (KeyError, TypeError, ValueError) as error:
            await self.end()
            raise ProcessEnded("sent what is no answer") from error

    async def end(self) -> None:
        """Ends it and whatever it has started. Harmless where it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _exchange(self, request: list[Any], *, seconds: float, most: int) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await self._send(request, most=most)
        except TimeoutError:
            await self.end()
            raise ProcessEnded(f"did not answer within {seconds:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            how = await self._how_it_ended()
            raise ProcessEnded(how) from error

    async def _send(self, request: list[Any], *, most: int) -> bytes:
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(frame(request))
        await writer.drain()
        length = length_of(await reader.readexactly(HEADER_BYTES), most=most)
        return await reader.readexactly(length)

    async def _how_it_ended(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._process.wait()
        code = self._process.returncode
        await self.end()
        if code is None:
            return "sent what is no answer"
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"left with exit code {code}"
        words = clean_text(" ".join(self._words.decode("utf-8", "replace").split("\n")[-3:])).split()
        said = " ".join(words)[-_WORDS_KEPT:]
        return f"{how}: {said}" if said else how

    async def _listen(self) -> None:
        """Empties its error stream, so that it never waits there, and keeps the end."""
        stream = self._process.stderr
        assert stream is not None
        while words := await stream.read(4096):
            self._words = (self._words + words)[-4096:]


def opened(reply: bytes, spec: StrategySpec) -> StrategyInfo:
    """What the answer to "open" says. Raises InvalidInput where the file is refused, ProcessEnded for no answer."""
    try:
        value = read_json(reply)
        if "refused" in value:
            text, problems = said(value["refused"]), value["problems"]
            if problems is not None:
                # (place, type, text, known names) of each
                problems = [
                    [said(one) for one in (place, kind, words, known)] for place, kind, words, known in problems
                ]
                raise ParametersRefused(text, problems)
            raise InvalidInput(text)
        told = value["info"]
    except (KeyError, TypeError, ValueError) as error:
        raise ProcessEnded("sent what is no answer") from error
    try:
        info = StrategyInfo.from_json(told)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"strategy file {spec.path}: its process says what no class may say: {error}") from error
    check_file_name(spec, spec.path or "", info.name)
    return info


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (processor time used up)" if name == "SIGXCPU" else name
