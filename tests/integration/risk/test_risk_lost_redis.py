"""Redis loses its data: what was decided, reported or commanded is found again from the book."""

from testkit.risk import OTHER, STOCK, at, closed, entry, exit_signal, opened, rejected, spec
from testkit.risk_service import Around

from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, PauseTrading, ResumeTrading, StopTrading
from tradebus.contracts.sessions import SessionStatus


async def exits(around: Around) -> list[Message]:
    return [intent for intent in await around.intents() if intent.TYPE == "EXIT_APPROVED"]


async def test_an_exit_that_execution_never_took_is_asked_again_as_the_same(around: Around) -> None:
    life = await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"), exit_signal("p1"))
    (before,) = await around.until(lambda: exits(around))
    await around.taken(*[intent for intent in await around.intents() if intent.TYPE == "ENTRY_APPROVED"])
    await around.lose_redis()
    (after,) = await around.until(lambda: exits(around))
    assert after == before
    # In the stream again it is not repeated, and once taken it is over.
    await around.taken(after)
    await around.publish(exit_signal("p1", ts_ns=at("10:30")))
    await around.until(lambda: has_journalled(around, "already_closing"))
    assert len(await exits(around)) == 1
    assert life.failure() is None


async def has_journalled(around: Around, rule: str) -> bool:
    return any(line[2] == rule for line in await around.journal())


async def test_an_approval_lost_while_risk_was_down_is_published_at_its_start(around: Around) -> None:
    life = await around.life()
    await around.session(spec())
    await around.tell(entry("p1"))
    (before,) = await around.until(around.intents)
    await life.stop()
    await around.lose_redis()
    await around.life()
    assert await around.until(around.intents) == [before]


async def test_a_session_with_a_lost_entry_ends(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"))
    await around.until(around.intents)
    await around.lose_redis()
    (approval,) = await around.until(around.intents)
    await around.taken(approval)
    await around.publish(rejected("p1"))  # execution finds it too old
    await around.until(lambda: has_no_holdings(around))


async def has_no_holdings(around: Around) -> bool:
    return not (await around.state()).get("holdings")


async def test_reports_and_commands_that_were_lost_on_their_way_are_taken_from_the_book(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"), entry("p2", instrument=OTHER))
    await around.taken(*await around.intents())
    # The gateway and execution committed these, and Redis was gone before risk had read them.
    await around.only_in_the_book(
        opened("p2", instrument=OTHER, ts_ns=at("10:00:02")), closed("p1", net_pnl_paise=-700, instrument=STOCK)
    )
    await around.lose_redis()
    await around.until(lambda: has_realised(around, {"p1": -700}))
    await around.status("session-1", SessionStatus.STOPPING)
    stop = await around.command(StopTrading, "session-1", lost=True)
    await around.handled(stop)
    (leave,) = await around.until(lambda: exits(around))
    assert (leave.pos_id, leave.causation_id) == ("p2", stop.event_id)


async def test_an_exit_that_a_strategy_asked_for_and_risk_never_read_is_taken_from_the_book(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"), entry("p2", instrument=OTHER), opened("p2", instrument=OTHER))
    await around.taken(*await around.intents())
    await around.only_in_the_book(exit_signal("p1"), entry("p3", ts_ns=at("10:01")))
    await around.lose_redis()
    (leave,) = await around.until(lambda: exits(around))
    assert (leave.pos_id, leave.rule) == ("p1", "exit_signal")
    assert "p3" not in {line[3] for line in await around.journal()}  # an entry is an occasion, and this one is over


async def has_realised(around: Around, realised: dict[str, int]) -> bool:
    state = await around.state()
    return state.get("realised") == realised


async def test_a_pause_that_was_lifted_since_is_not_made_again(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.command(PauseTrading, "session-1", number=10, lost=True)
    await around.handled(await around.command(ResumeTrading, "session-1", number=11))
    flatten = await around.command(Flatten, "session-1", number=12, lost=True)
    await around.lose_redis()
    await around.handled(flatten)
    await around.publish(entry("p1"))
    (approval,) = await around.until(around.intents)
    assert approval.TYPE == "ENTRY_APPROVED"


async def test_flatten_works_after_the_loss(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"))
    await around.taken(*await around.intents())
    await around.lose_redis()
    await around.publish(exit_signal("p1"))
    await around.until(lambda: exits(around))
    await around.lose_redis()
    await around.command(Flatten, "session-1", number=5)
    (leave,) = await around.until(lambda: exits(around))
    assert leave.rule == "exit_signal"
