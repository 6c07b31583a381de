"""A user's own strategy file, and every way in which it can be wrong."""

import os
import textwrap
from pathlib import Path

import pytest

from tradebus.contracts.sessions import StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.registry import BUILT_IN, parse_parameters, strategy_names, validate_strategy

GOOD = """
    from __future__ import annotations

    from typing import Literal

    from pydantic import Field

    from tradebus.strategies.protocol import Candle, Context, Decision, Strategy, StrategyParameters, hold


    class Mine(StrategyParameters):
        length: int = Field(default=20, ge=2)
        kind: Literal["fast", "slow"] = "fast"


    class MyStrategy(Strategy[Mine]):
        NAME = "my_strategy"
        TIMEFRAME_SECONDS = 300
        PARAMETERS = Mine

        def on_candle(self, candle: Candle, context: Context) -> Decision:
            return hold(f"length {self.parameters.length}")
"""


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return str(path)


def problem(spec: StrategySpec) -> str:
    with pytest.raises(InvalidInput) as caught:
        validate_strategy(spec)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_users_file_is_loaded_with_its_parameters(tmp_path):
    spec = StrategySpec(name="my_strategy", path=written(tmp_path, GOOD), parameters={"length": 5})
    strategy = validate_strategy(spec)
    assert (strategy.NAME, strategy.TIMEFRAME_SECONDS) == ("my_strategy", 300)
    assert parse_parameters(strategy, spec.parameters).model_dump()["length"] == 5


def test_the_files_own_name_will_do_and_another_is_refused(tmp_path):
    path = written(tmp_path, GOOD)
    assert validate_strategy(StrategySpec(name="mine", path=path)).NAME == "my_strategy"
    assert problem(StrategySpec(name="other", path=path)).endswith("defines 'my_strategy'; use that name")


def test_what_is_on_disk_is_what_trades(tmp_path):
    path = written(tmp_path, GOOD)
    validate_strategy(StrategySpec(name="mine", path=path))
    written(tmp_path, GOOD.replace("TIMEFRAME_SECONDS = 300", "TIMEFRAME_SECONDS = 60"))
    assert validate_strategy(StrategySpec(name="mine", path=path)).TIMEFRAME_SECONDS == 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def broken(:\n", "mine.py, line 1: invalid syntax"),
        ("x = 1\n\nraise ValueError('no data\\nhere')\n", "mine.py, line 3: ValueError: no data here"),
        ("import sys\nsys.exit(3)\n", "mine.py, line 2: SystemExit: 3"),
        ("class Weird(BaseException): pass\n\nraise Weird('no\\nway')\n", "mine.py, line 3: Weird: no way"),
        (
            "class Mute(BaseException):\n    def __str__(self): raise self\nraise Mute\n",
            "mine.py, line 3: Mute: a Mute that cannot be said",
        ),
        (
            "class Meta(type):\n    def __getattr__(cls, name): raise SystemExit(name)\n"
            "class Mine(metaclass=Meta): pass\n",
            "mine.py, line 2: SystemExit: on_candles",
        ),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1\n", "has no class that derives from tradebus.strategies.protocol.Strategy"),
        (
            "class Mine:\n    def on_candle(self, candle, context):\n        return None\n",
            "class Mine has on_candle but does not derive from tradebus.strategies.protocol.Strategy",
        ),
        (
            "class Mine:\n    def on_candles(self, slots, candles):\n        return None\n",
            "class Mine answers in arrays (on_candles); a file's class derives from Strategy and has on_candle",
        ),
        (
            "from tradebus.strategies.protocol import Strategy\nclass Mine(Strategy):\n    NAME = 'mine'\n",
            "class Mine does not define on_candle",
        ),
    ],
)
def test_a_file_that_is_no_strategy_is_refused_by_name_and_line(tmp_path, text, expected):
    assert expected in problem(StrategySpec(name="mine", path=written(tmp_path, text)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('NAME = "my_strategy"', 'NAME = "My Strategy"', "NAME must be lower-case"),
        ('NAME = "my_strategy"', "", "NAME must be lower-case letters"),
        ("TIMEFRAME_SECONDS = 300", "TIMEFRAME_SECONDS = 90", "TIMEFRAME_SECONDS must be one of (60, 180,"),
        ("TIMEFRAME_SECONDS = 300", "WARMUP_CANDLES = -1", "WARMUP_CANDLES must be a whole number from 0"),
        ("PARAMETERS = Mine", "PARAMETERS = dict", "PARAMETERS must be a class that derives from"),
        ("def on_candle", "async def on_candle", "must not be async"),
        ('NAME = "my_strategy"', 'NAME = "orb"', "NAME 'orb' is a built-in's; choose another"),
    ],
)
def test_a_class_that_does_not_keep_the_protocol_is_refused(tmp_path, old, new, expected):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    assert expected in problem(StrategySpec(name="mine", path=path))


def test_two_strategies_in_one_file_are_refused_by_name(tmp_path):
    second = GOOD.replace("class MyStrategy", "class Second").replace("from __future__ import annotations", "")
    again = GOOD + second
    text = problem(StrategySpec(name="mine", path=written(tmp_path, again)))
    assert text.endswith("has 2 Strategy classes (MyStrategy, Second); keep one per file")


def test_a_base_class_of_ones_own_is_not_a_second_strategy(tmp_path):
    base = """
    from tradebus.strategies.protocol import Strategy, StrategyParameters, hold

    class Base(Strategy[StrategyParameters]):
        PARAMETERS = StrategyParameters

    class Mine(Base):
        NAME = "mine"

        def on_candle(self, candle, context):
            return hold("nothing")
    """
    assert validate_strategy(StrategySpec(name="mine", path=written(tmp_path, base))).NAME == "mine"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = tmp_path / "nowhere.py"
    assert "cannot be read: No such file or directory" in problem(StrategySpec(name="x", path=str(missing)))
    assert "is not a .py file" in problem(StrategySpec(name="x", path=str(tmp_path)))
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in problem(StrategySpec(name="x", path=str(binary)))


def test_an_unknown_name_gets_the_nearest_one():
    assert "strategy 'obr' is not known (did you mean 'orb'?)" in problem(StrategySpec(name="obr"))
    assert {"orb", "ema_20_50"} <= set(strategy_names())


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"range_minute": 15}, "parameter 'range_minute' is not known (did you mean 'range_minutes'?)"),
        ({"range_minutes": 0}, "parameter range_minutes: Input should be greater than or equal to 1, got 0"),
        ({"range_minutes": "soon"}, "parameter range_minutes: Input should be a valid integer"),
        ({"ema_fast": 30}, "strategy orb: ema_fast must be below ema_slow"),
        # What is compiled counts in 64 bits.
        ({"reward_multiple": 1e20}, "parameter reward_multiple: Input should be less than or equal to 1000"),
        ({"last_entry_minutes": 10**400}, "parameter last_entry_minutes: Input should be less than or equal to 100000"),
    ],
)
def test_a_bad_parameter_is_named(parameters, expected):
    assert expected in problem(StrategySpec(name="orb", parameters=parameters))


def test_every_bad_parameter_is_named_at_once():
    text = problem(StrategySpec(name="orb", parameters={"range_minutes": 0, "reward_multiple": -1, "nonsense": 1}))
    assert all(name in text for name in ("range_minutes", "reward_multiple", "nonsense"))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_needs_no_parameters(name):
    strategy = validate_strategy(StrategySpec(name=name))
    assert parse_parameters(strategy, {}) == strategy.PARAMETERS()


def test_an_installed_package_offers_strategies_by_entry_point(tmp_path, monkeypatch):
    written(tmp_path, GOOD, "installed_strategies.py")
    info = tmp_path / "installed_strategies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-strategies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tradebus.strategies]\n"
        "my_strategy = installed_strategies:MyStrategy\n"
        "wrong_name = installed_strategies:MyStrategy\n"
        "gone = installed_strategies:Gone\n"
        "not_one = installed_strategies:Mine\n"
        "orb = installed_strategies:MyStrategy\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert validate_strategy(StrategySpec(name="my_strategy", parameters={"length": 3})).NAME == "my_strategy"
    assert "my_strategy" in strategy_names()
    assert "NAME is 'my_strategy', expected 'wrong_name'" in problem(StrategySpec(name="wrong_name"))
    assert "AttributeError" in problem(StrategySpec(name="gone"))
    assert "is not a class that derives from" in problem(StrategySpec(name="not_one"))
    assert validate_strategy(StrategySpec(name="orb")) is BUILT_IN["orb"]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    (tmp_path / "folder.py").mkdir()
    device = tmp_path / "device.py"
    device.symlink_to("/dev/zero")
    for name, said in (("pipe", "is a pipe, not a file"), ("folder", "cannot be read"), ("device", "is a device")):
        with pytest.raises(InvalidInput, match=said):
            validate_strategy(StrategySpec(name=name, path=str(tmp_path / f"{name}.py")))
    (tmp_path / "huge.py").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidInput, match="larger than 1000000 bytes"):
        validate_strategy(StrategySpec(name="huge", path=str(tmp_path / "huge.py")))
