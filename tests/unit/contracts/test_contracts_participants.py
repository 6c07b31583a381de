"""Who takes part in a session, and which stream its signals come on."""

from testkit.messages import sample

from tradebus.contracts.commands import StartTrading
from tradebus.contracts.streams import SIGNALS, SIGNALS_MANUAL, SIGNALS_WEBHOOK, STREAM_BY_NAME


def test_those_who_signal_and_those_who_act_on_it_take_part_each_once() -> None:
    command = sample(StartTrading)
    assert isinstance(command, StartTrading)
    spec = command.spec
    twice = spec.model_copy(update={"strategies": spec.strategies * 2})
    assert twice.participants == ("strategy", "risk", "execution")


def test_each_source_of_signals_has_a_stream_of_its_own_that_it_alone_writes() -> None:
    sources = {name.rpartition(".")[2]: row for name, row in STREAM_BY_NAME.items() if name.startswith("signals.v1.")}
    assert sources == {"strategy": SIGNALS, "manual": SIGNALS_MANUAL, "webhook": SIGNALS_WEBHOOK}
    assert {source: row.producer for source, row in sources.items()} == {
        "strategy": "strategy", "manual": "gateway", "webhook": "gateway",
    }  # fmt: skip


def test_people_call_a_stream_by_a_short_name() -> None:
    assert (SIGNALS.short, STREAM_BY_NAME["md.candles.v1"].short) == ("signals", "candles")
