"""Users' strategy files decide as they would here, and what they do to themselves is their own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from testkit.strategy_days import generated_days
from testkit.strategy_service import Stage, message_fields

from tradebus.contracts.commands import ResumeTrading
from tradebus.contracts.sessions import SessionStatus, StrategySpec
from tradebus.contracts.signals import EntrySignal, StrategyFailed
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.embedded.local import is_alive
from tradebus.runtime.isolation.inspection import inspect_file
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.store.books import sessions_book

DAYS = generated_days(2, seed=11)
ORB = StrategySpec(name="orb")
HEAD = "from tradebus.strategies.protocol import Strategy, StrategyParameters, hold\n"
ENDS = {
    "segfault": "import ctypes; ctypes.string_at(0)",
    "exit": "import os; os._exit(3)",
    "loop": "while True: pass",
    "noise": "import os\n            while True: os.write(1, b'x' * 65536)",
    "nonsense": "import os\n            for number in range(3, 20):\n                try: os.write(number, b'x' * 64)\n"
    "                except OSError: pass\n            while True: pass",
}


def written(folder: Path, name: str, body: str) -> StrategySpec:
    (folder / f"{name}.py").write_text(HEAD + body)
    return StrategySpec(name=name, path=str(folder / f"{name}.py"))


def ends_at_third_candle(folder: Path, how: str) -> StrategySpec:
    return written(
        folder,
        "mine",
        "class Mine(Strategy[StrategyParameters]):\n"
        "    NAME = 'mine'\n    WARMUP_CANDLES = 0\n    PARAMETERS = StrategyParameters\n    count = 0\n"
        "    def on_candle(self, candle, context):\n"
        "        self.count += 1\n"
        "        if self.count >= 3 and not context.warming_up:\n"
        f"            {how}\n"
        "        return hold('fine')\n",
    )


async def test_a_file_decides_in_its_process_as_its_class_decides_here(stage: Stage, tmp_path: Path) -> None:
    mine = written(
        tmp_path, "my_orb",
        "from tradebus.strategies.built_in.orb import Orb\nclass MyOrb(Orb):\n    NAME = 'my_orb'\n",
    )  # fmt: skip
    await stage.store_day(DAYS[0])
    await stage.start_service()
    await stage.start_session([ORB, mine])
    await stage.play(DAYS[1])
    await stage.settle()
    own = await stage.decisions(strategy="my_orb")
    assert own == await stage.decisions()
    entries = [(one.strategy, one.ts_event_ns, one.stop_paise) for one in stage.signals if isinstance(one, EntrySignal)]
    assert entries
    assert [one[1:] for one in entries if one[0] == "my_orb"] == [one[1:] for one in entries if one[0] == "orb"]


@pytest.mark.parametrize("how", sorted(ENDS))
async def test_a_file_that_keeps_ending_its_process_pauses_its_session_and_no_other(
    stage: Stage, tmp_path: Path, how: str
) -> None:
    stage.hurry = 20
    stage.answer_seconds = 0.2 if how in ("loop", "noise", "nonsense") else 10.0
    await stage.start_service()
    await stage.start_session([ends_at_third_candle(tmp_path, ENDS[how])])
    await stage.start_session([ORB], session_id="s2")
    played = 0
    for candle in DAYS[1].candles:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
        played += 1
        stands = next(one for one in await sessions_book(stage.store).alive() if one.session_id == "s1")
        if stands.status is SessionStatus.PAUSED:
            break
        await asyncio.sleep(0.1)  # the market goes on while its process is started again
    assert stands.status is SessionStatus.PAUSED, f"not after {played} candles"
    assert (stands.reason or "").startswith("strategy mine: its process ")
    (failed,) = [one for one in stage.signals if isinstance(one, StrategyFailed)]
    assert (failed.session_id, failed.strategy) == ("s1", "mine")
    assert "3 times in a row" in failed.reason
    assert failed.ts_event_ns <= candle.ts_close_ns, "whoever merges by the market's time would wait for it for ever"
    await stage.settle()
    rows = await stage.decisions(strategy="mine")
    assert [row[2] for row in rows[:2]] == ["fine", "fine"]
    assert len(rows) == played
    assert rows[-1][2].startswith("strategy_error: its process ")
    assert len(await stage.decisions(session_id="s2")) == played


async def test_a_paused_session_whose_file_was_mended_goes_on_when_it_is_resumed(stage: Stage, tmp_path: Path) -> None:
    stage.hurry = 20
    await stage.start_service()
    await stage.start_session([ends_at_third_candle(tmp_path, "import os; os._exit(1)")])
    reasons: list[str] = []
    mended = False
    for candle in DAYS[1].candles:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
        if not mended and any(isinstance(one, StrategyFailed) for one in stage.signals):
            ends_at_third_candle(tmp_path, "pass")
            await stage.command(ResumeTrading(**message_fields("resume", 3, "s1")))
            mended = True
        await stage.settle()
        reasons = [row[2] for row in await stage.decisions(strategy="mine")]
        if mended and reasons[-1] == "fine":
            break
        await asyncio.sleep(0.1)  # as above
    assert mended
    assert reasons[-1] == "fine"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise type('Weird', (BaseException,), {})('no way')", "strategy_error: Weird: no way"),
        (
            "raise type('Mute', (Exception,), {'__str__': lambda one: 1 / 0})",
            "strategy_error: Mute: a Mute that cannot",
        ),
        ("raise KeyboardInterrupt", "strategy_error: KeyboardInterrupt:"),
        ("return hold.__wrapped__(type('Text', (str,), {'__hash__': None})('because'))", "because"),
        ("import dataclasses; return dataclasses.replace(hold('level'), stop_paise=object())", "level"),
    ],
)
async def test_what_a_file_raises_or_answers_of_its_own_kind_is_told_and_its_process_goes_on(
    stage: Stage, tmp_path: Path, how: str, said: str
) -> None:
    await stage.start_service()
    await stage.start_session([ends_at_third_candle(tmp_path, how)])
    await stage.play(DAYS[1], DAYS[1].candles[:5])
    await stage.settle()
    reasons = [row[2] for row in await stage.decisions(strategy="mine")]
    assert [reason.startswith(said) for reason in reasons] == [False, False, True, True, True]


async def test_a_file_that_takes_too_much_memory_is_told_so_and_its_session_goes_on(
    stage: Stage, tmp_path: Path
) -> None:
    await stage.start_service()
    await stage.start_session([ends_at_third_candle(tmp_path, "bytearray(10**12)")])
    await stage.play(DAYS[1], DAYS[1].candles[:4])
    await stage.settle()
    reasons = [row[2] for row in await stage.decisions(strategy="mine")]
    assert reasons[:2] == ["fine", "fine"]
    assert reasons[2].startswith("strategy_error: MemoryError")


async def test_a_file_sees_no_credential_and_what_it_prints_harms_nobody(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_PASSWORD", "KITE_ACCESS_TOKEN", "TRADEBUS_STATE_DIR"):
        monkeypatch.setenv(name, "planted")
    spec = written(
        tmp_path, "curious",
        "import os\nclass Curious(Strategy[StrategyParameters]):\n"
        "    NAME = 'curious'\n    WARMUP_CANDLES = 0\n    PARAMETERS = StrategyParameters\n"
        "    def on_candle(self, candle, context):\n"
        "        print('looking around')\n"
        "        return hold('seen: ' + str([name for name, value in os.environ.items() if 'planted' in value]))\n",
    )  # fmt: skip
    await stage.start_service()
    await stage.start_session([spec])
    await stage.play(DAYS[1], DAYS[1].candles[:2])
    await stage.settle()
    assert [row[2] for row in await stage.decisions(strategy="curious")] == ["seen: []"] * 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os\nos._exit(4)\n", "left with exit code 4"),
        ("import ctypes\nctypes.string_at(0)\n", "was killed by SIGSEGV"),
        ("raise RuntimeError('no')\n", "line 2: RuntimeError: no"),
    ],
)
async def test_a_file_that_does_not_load_is_refused_with_how(
    stage: Stage, tmp_path: Path, body: str, said: str
) -> None:
    await stage.start_service()
    await stage.start_session([written(tmp_path, "mine", body)])
    (dead,) = await stage.bus.dead_letters(COMMANDS.name, count=10)
    assert said in dead.reason
    await stage.start_session([ORB], session_id="s2")
    await stage.play(DAYS[1], DAYS[1].candles[:2])
    await stage.settle()
    assert len(await stage.decisions(session_id="s2")) == 2


def test_a_file_is_looked_at_without_running_it_here(tmp_path: Path) -> None:
    limits = IsolationLimits(start_seconds=60)  # a busy machine is no hostile file
    spec = ends_at_third_candle(tmp_path, "pass")
    assert inspect_file(spec, limits).warmup_candles == 0
    with pytest.raises(InvalidInput, match="parameter 'x' is not known"):
        inspect_file(spec.model_copy(update={"parameters": {"x": 1}}), limits)
    for name, body, said in (
        ("gone", "import os\nos._exit(4)\n", r"ends its own process when it is loaded \(exit code 4\)"),
        ("crash", "import ctypes\nctypes.string_at(0)\n", r"\(signal 11\)"),
    ):
        with pytest.raises(InvalidInput, match=said):
            inspect_file(written(tmp_path, name, body), limits)
    slow = written(tmp_path, "slow", "while True: pass\n")
    with pytest.raises(InvalidInput, match=r"took longer than 0\.5 s to load"):
        inspect_file(slow, IsolationLimits(start_seconds=0.5))
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(InvalidInput, match="is a pipe, not a file"):
        inspect_file(StrategySpec(name="pipe", path=str(tmp_path / "pipe.py")), limits)


def test_a_file_reads_the_rules_of_the_market_that_the_services_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(
        '{"source": "NSE/CMTR/77001", "last_checked": "2026-11-28", "hours": [{"market_class": "derivative",'
        ' "from": "2026-12-07", "open": "09:15", "close": "15:40"}]}'
    )
    spec = written(
        tmp_path,
        "closes",
        "from datetime import date, time\n"
        "from tradebus.calendar import session_for\nfrom tradebus.kernel.time import ist_time\n"
        "class Closes(Strategy[StrategyParameters]):\n"
        "    NAME = 'closes'\n    PARAMETERS = StrategyParameters\n"
        "    WARMUP_CANDLES = ist_time(session_for(date(2026, 12, 8), 'derivative').close_ns).minute\n"
        "    def on_candle(self, candle, context):\n"
        "        return hold('fine')\n",
    )
    limits = IsolationLimits(start_seconds=60)
    assert inspect_file(spec, limits).warmup_candles == 45
    monkeypatch.setenv("TRADEBUS_MARKET_RULES", str(rules))
    assert inspect_file(spec, limits).warmup_candles == 40


HOLDER = """
import asyncio, sys
from tradebus.contracts.sessions import StrategySpec
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.runtime.isolation.process import StrategyProcess

async def main():
    spec = StrategySpec(name="mine", path=sys.argv[1])
    process, _ = await StrategyProcess.start(spec, IsolationLimits(start_seconds=60))
    await process.ask([["make", 1]])
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_files_process_ends_with_the_service_that_was_killed(tmp_path: Path) -> None:
    spec = ends_at_third_candle(tmp_path, "pass")
    assert spec.path is not None
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, spec.path, stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    assert holder.stdout is not None
    pid = int(await holder.stdout.readline())
    os.kill(pid, 0)
    holder.kill()
    await holder.wait()
    async with asyncio.timeout(30):
        while is_alive(pid):
            await asyncio.sleep(0.02)  # until the system has ended it


async def reason_of_session(stage: Stage, session_id: str) -> str | None:
    return next(one.reason for one in await sessions_book(stage.store).alive() if one.session_id == session_id)


async def test_nobody_waits_while_a_file_is_loaded_and_what_is_wrong_with_it_is_said(
    stage: Stage, tmp_path: Path
) -> None:
    stage.paced = False
    go = tmp_path / "go"
    slow = written(
        tmp_path, "slow",
        f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
        "class Slow(Strategy[StrategyParameters]):\n    NAME = 'slow'\n    PARAMETERS = StrategyParameters\n"
        "    def on_candle(self, candle, context):\n        return hold('fine')\n",
    )  # fmt: skip
    await stage.start_service()
    await stage.start_session([ORB], session_id="s2")
    await stage.start_session([slow], wait=False)
    for candle in DAYS[1].candles[:3]:
        await stage.publish_slice(DAYS[1], candle)
        await stage.turn_until(candle.ts_close_ns)
    await stage.settle()
    assert len(await stage.decisions(session_id="s2")) == 3
    assert len(await stage.participants()) == 1
    go.touch()
    await stage.taken_up("s1")
    await stage.start_session(
        [written(tmp_path, "gone", "import os\nos._exit(4)\n")], session_id="s3", status="STARTING", wait=False
    )
    async with asyncio.timeout(60):
        while not (reason := await reason_of_session(stage, "s3")):
            await stage.component.turn(block_ms=20)
    assert "left with exit code 4" in reason
    await stage.publish_slice(DAYS[1], DAYS[1].candles[3])
    await stage.turn_until(DAYS[1].candles[3].ts_close_ns)
    await stage.settle()
    assert [row[2] for row in await stage.decisions(strategy="slow")] == ["fine"]
    assert len(await stage.decisions(session_id="s2")) == 4
