"""What the drill has found of execution, each written out as the run that shows it."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from testkit.drill import drilled, killed_before, late, play_plan, trade, violated, written_plan

from services.cli.drill.exchange.faults import Mishap, NetworkFault
from services.cli.drill.exchange.market import DAY
from services.cli.drill.running.plan import EXECUTION, SECOND, PlannedEvent
from services.cli.drill.simulation.points import ANSWERED, ASKING, COMMITTED, COMMITTING, Strike
from tradebus.kernel.time import IST

__all__ = ["drilled"]


def test_an_exit_that_was_committed_and_never_left_is_sent_although_its_stop_appears_first(drilled: Path) -> None:
    plan = written_plan(
        trade(), mishaps=(late("(STOP", seconds=5.0),), strikes=(killed_before("(EXIT"),), restart_seconds=(1.5, 1.5)
    )
    result = play_plan(plan, drilled)
    assert violated(result) == []
    assert result.kills == 1


def test_a_stop_that_nobody_answers_is_left_within_five_seconds_of_the_fill(drilled: Path) -> None:
    for seed in (2, 3, 11):  # those in which it is seen, and left, at the latest of all looks
        plan = written_plan(trade(), mishaps=(Mishap("(STOP", NetworkFault.NEVER_ARRIVES),), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.known == ()


def test_who_takes_a_trade_over_by_its_exit_looks_up_what_the_other_may_have_sent(drilled: Path) -> None:
    both = (EXECUTION, SECOND)
    for seed in range(6):  # the exit comes to either of the two instances
        plan = written_plan(
            trade(exit_after=3.0), strikes=tuple(killed_before("(ENTRY", process=name) for name in both),
            processes=both, restart_seconds=(1.0, 1.0), seed=seed,
        )  # fmt: skip
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.kills == 1


def test_a_position_whose_stop_does_not_grow_in_time_is_left_within_five_seconds(drilled: Path) -> None:
    met = 0
    for seed in range(8):  # in some of them the entry fills in two parts, and its stop has to grow
        plan = written_plan(trade(lots=3), mishaps=(late("change order", seconds=9.0),), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.known == ()
        met += result.faults.get("delay", 0)
    assert met > 0


def test_who_recovers_a_trade_looks_up_what_was_added_to_it_while_it_was_read(drilled: Path) -> None:
    # Both instances stand still for a minute; the second comes back, and decides on an exit, as the first adopts.
    stands_still = (
        Strike(SECOND, COMMITTING, 25, stopped_seconds=68.22486532070572),
        Strike(EXECUTION, ASKING, 1, words="(EXIT", stopped_seconds=54.9131239957223),
    )
    plan = written_plan(
        trade(0, name="call", lots=12, at=7.244238843036159, exit_after=9.833680548203885, stop_share=0.0055647591),
        trade(1, name="call", at=8.640273677901604, exit_after=3.140166719552041, stop_share=0.0145079818),
        strikes=stands_still, mishaps=(Mishap("(STOP", NetworkFault.ACCEPT_THEN_DROP, 2),), seed=226,
        processes=(EXECUTION, SECOND),
    )  # fmt: skip
    assert violated(play_plan(plan, drilled)) == []


def test_a_stop_that_was_dropped_unsent_is_looked_up_although_it_was_to_grow_meanwhile(drilled: Path) -> None:
    # A stop waits for its account as Redis goes away and the trade is forgotten; the next fill reads it anew.
    plan = written_plan(
        trade(1, name="call", lots=12, at=6.637781555209724, exit_after=6.926297783864011, stop_share=0.0151541389),
        trade(2, session="s3", name="put", lots=3, at=1.9640299463974602, stop_share=0.0134714244),
        strikes=(
            Strike(EXECUTION, COMMITTED, 43, stopped_seconds=12.87868191133499), Strike(EXECUTION, ANSWERED, 17),
        ),
        events=(PlannedEvent("redis away", 17.691323000741235, seconds=2.2266275039675847),),
        sessions={"s1": "kite", "s2": "upstox", "s3": "dhan"}, seed=5000093,
    )  # fmt: skip
    assert violated(play_plan(plan, drilled)) == []


def test_an_exit_whose_answer_is_lost_leaves_no_position_bare(drilled: Path) -> None:
    # It is a change of the stop, which protects until it is made: lost, done and not answered, late, refused.
    for fault in NetworkFault:
        for name in ("share", "call"):
            mishap = Mishap("change order", fault, 1, 9.0)
            result = play_plan(written_plan(trade(name=name, exit_after=3.0), mishaps=(mishap,)), drilled)
            assert violated(result) == []
            assert result.known == ()
            assert result.orders == 2 or fault is NetworkFault.THROTTLED, "that one is refused: an exit may follow"


def test_an_option_that_was_bought_after_a_fall_is_left_although_its_average_is_far_above(drilled: Path) -> None:
    # The process stands still as the market falls; its entry leaves late, and its stop would be above the market.
    events = (
        PlannedEvent("stopped", 5.434, seconds=11.755372797231754, number=1),
        PlannedEvent("shock", 16.919847878617723, share=-0.013314160692030607),
    )
    bought = trade(name="call", lots=6, at=5.794349729769389, stop_share=0.0044042715172708125)
    for seed in (1, 4, 12):
        result = play_plan(written_plan(bought, events=events, seed=seed), drilled)
        assert violated(result) == []
        assert "stop_refused" in result.story.text()


def test_a_stop_that_appears_while_its_exit_is_unanswered_protects_until_that_is_answered(drilled: Path) -> None:
    lost = (late("(STOP", seconds=8.0), Mishap("(EXIT", NetworkFault.NEVER_ARRIVES))
    result = play_plan(written_plan(trade(name="put"), mishaps=lost), drilled)
    assert violated(result) == []
    story = result.story.text()
    assert "ORDER_UNKNOWN EXIT" in story
    assert result.orders == 3, "the stop that covers meanwhile is the exit in the end"
    cancelled = story.partition("CANCELLED 0/65")[0].rpartition("\n")[2][:8]
    assert "09:16:09" <= cancelled <= "09:16:12", "the late one is one too many"


def test_an_entry_that_waited_for_its_margin_in_a_process_that_stood_still_does_not_leave(drilled: Path) -> None:
    # By the time it wakes the other instance has taken its trade over, and called the entry absent.
    slow = tuple(Mishap("margins", NetworkFault.DELAY, number, 9.0) for number in (1, 2))
    kept_back = 0
    for number in (0, 1):
        events = (PlannedEvent("stopped", 5.0, seconds=65.0, number=number),)
        plan = written_plan(trade(), events=events, mishaps=slow, processes=(EXECUTION, SECOND))
        result = play_plan(plan, drilled)
        assert violated(result) == []
        kept_back += result.orders == 0
    assert kept_back == 1, "one of the two has it"


def test_a_process_that_stands_still_in_a_transaction_keeps_its_trade_from_nobody(drilled: Path) -> None:
    # The stop covers the first part of the entry only, and who would have it grow stands still as that is stored.
    for seed, who in ((0, SECOND), (1, SECOND), (2, EXECUTION)):
        stands_still = Strike(who, COMMITTING, 2, words="trades", stopped_seconds=50.0)
        plan = written_plan(
            trade(name="put", lots=18, at=4.0), strikes=(stands_still,), processes=(EXECUTION, SECOND), seed=seed
        )
        assert violated(play_plan(plan, drilled)) == []


def test_a_stop_whose_departure_could_not_be_kept_is_looked_up_although_its_trade_changes(drilled: Path) -> None:
    # As the stop says that it leaves the process stands still, and the server ends what it had begun to say.
    for seed, number in ((0, 4), (1, 3), (3, 5)):
        stands_still = Strike(EXECUTION, COMMITTING, number, words="order_history", stopped_seconds=27.0)
        bought = trade(lots=12, at=2.0, exit_after=3.0)
        assert violated(play_plan(written_plan(bought, strikes=(stands_still,), seed=seed), drilled)) == []


def test_a_future_whose_stop_the_new_range_of_the_closing_auction_ends_is_left_at_once(drilled: Path) -> None:
    begins = datetime(DAY.year, DAY.month, DAY.day, 15, 14, 50, tzinfo=IST)
    result = play_plan(replace(written_plan(trade(name="future")), start=begins), drilled)
    assert violated(result) == []
    assert result.known == ()
    assert "POSITION_CLOSED NIFTY26DECFUT stop_cancelled_by_exchange" in result.story.text()
    assert result.faults == {"the closing auction begins": 1}


def test_a_stop_that_is_put_back_while_exits_are_refused_is_sent_and_exits_keep_their_time(drilled: Path) -> None:
    refused = tuple(Mishap("(EXIT", NetworkFault.THROTTLED, number) for number in range(1, 6))
    gone = (PlannedEvent("stop cancelled by hand", 5.0),)
    result = play_plan(written_plan(trade(), mishaps=refused, events=gone), drilled)
    assert violated(result) == []
    story = result.story.text()
    assert story.count("commits STOP_PLACED") == 2
    assert story.count("commits ORDER_REJECTED EXIT") < 5


def test_an_exit_that_was_said_to_leave_before_its_process_stood_still_is_not_sent_beside_the_successors(
    drilled: Path,
) -> None:
    # The stop is refused; the fifth commit of the kind is the exit's word that it leaves. Another instance sends it.
    refused, stopped = (Mishap("(STOP", NetworkFault.THROTTLED),), 62.0
    stands_still = (Strike(EXECUTION, COMMITTED, 5, words="order_history", stopped_seconds=stopped),)
    for seed in (0, 7):
        plan = written_plan(
            trade(), mishaps=refused, strikes=stands_still, processes=(EXECUTION, SECOND), seed=seed
        )  # fmt: skip
        result = play_plan(plan, drilled)
        assert "stands still for 62.0 s after a commit (departures, order_history)" in result.story.text()
        assert violated(result) == []


def test_parts_of_an_entry_that_nobody_answers_hold_up_no_exit(drilled: Path) -> None:
    # The first part has filled; who sent the others stands still, its stop in the hand, and another takes the trade.
    bought = trade(name="put", lots=67, at=2.0)
    for seed in (0, 1, 2):
        strikes = tuple(Strike(name, ASKING, 1, words="(STOP", stopped_seconds=20.0) for name in (EXECUTION, SECOND))
        plan = written_plan(bought, strikes=strikes, processes=(EXECUTION, SECOND), seed=seed)
        result = play_plan(plan, drilled)
        assert violated(result) == []
        story = result.story.text()
        assert story.count("stands still") >= 1
        assert max(one.seconds for one in result.known) < 21.0, "nobody is there for 16 s, and stops have three"


def seconds_between(story: str, first: str, then: str) -> float:
    """From the first line that has these words to the first after it that has those, in one minute of the run."""
    lines = [(float(line[6:15]), line) for line in story.splitlines()]
    began = next(number for number, (_, line) in enumerate(lines) if first in line)
    return next(at for at, line in lines[began:] if then in line) - lines[began][0]


def test_who_takes_over_a_trade_whose_stop_has_no_answer_counts_from_when_it_left(drilled: Path) -> None:
    # The exit goes to the other instance shortly before the first would have left.
    lost = (Mishap("(STOP", NetworkFault.NEVER_ARRIVES),)
    for seed in range(4):
        plan = written_plan(
            trade(exit_after=3.0), mishaps=lost, processes=(EXECUTION, SECOND), seed=seed, sessions={"s1": "dhan"}
        )
        result = play_plan(plan, drilled)
        assert violated(result) == []
        assert result.known == ()
        assert seconds_between(result.story.text(), "(STOP", "(EXIT") < 5.0


def test_the_next_life_counts_from_when_a_stop_left_that_has_no_answer(drilled: Path) -> None:
    lost = (Mishap("(STOP", NetworkFault.NEVER_ARRIVES),)
    for beat in (3, 4):  # killed one second after the stop was lost, or two; and there again soon
        strikes = (Strike(EXECUTION, COMMITTING, beat, words="execution_instances"),)
        plan = written_plan(trade(), mishaps=lost, strikes=strikes, restart_seconds=(0.5, 0.5))
        result = play_plan(plan, drilled)
        assert result.kills == 1
        assert violated(result) == []
        assert seconds_between(result.story.text(), "(STOP", "(EXIT") < 5.0
