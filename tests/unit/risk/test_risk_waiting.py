"""Entries that wait for a person: judged, parked, judged again on a yes, and told of with their end."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import INDEX, OTHER, SECOND, STOCK, at, command, entry, exit_signal, opened, situation, spec

from services.risk.adapters.codec import decode, encode
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.signals import Group, Leg, Side
from tradebus.risk.commands import CommandKind
from tradebus.risk.exits import next_due_ns
from tradebus.risk.people.waiting import PersonsWord
from tradebus.risk.published import journalled, published
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_over, on_signal, on_time, on_word
from tradebus.risk.terms import LastTraded, Situation
from tradebus.risk.verdicts import Cause, Verdict, VerdictKind
from tradebus.trading.facts import EntryAwaitsApproval, EntryBlocked, EntrySignal
from tradebus.trading.legs import group_id, leg_pos_id

AT_NS = at("10:00")
SOON = AT_NS + 20 * SECOND
WAIT = VerdictKind.WAIT


def asking(**limits: object) -> SessionSpec:
    return spec(**limits).model_copy(update={"approval_seconds": 60})


def now(ts_ns: int = AT_NS, *, killed: bool = False, **limits: object) -> Situation:
    return replace(situation(asking(**limits), data_ns=ts_ns), killed=killed)


def parked(*signals: EntrySignal, **limits: object) -> RiskState:
    state = RiskState()
    for signal in signals or (entry("p1"),):
        state = on_signal(state, signal, now(**limits)).state
    assert state.waiting
    return state


def word(state: RiskState, *, is_yes: bool = True, at_ns: int = SOON, around: Situation | None = None) -> RiskStep:
    (approval_id,) = state.waiting
    said = PersonsWord(approval_id, is_yes=is_yes, by="asha", reason="looks good")
    return on_word(state, said, around or now(at_ns), Cause(at_ns, "word-1", "trace"))


def kinds(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    return [(one.kind, one.rule) for one in verdicts]


def test_what_the_rules_let_in_waits_and_binds_nothing() -> None:
    step = on_signal(RiskState(), entry("p1"), now())
    assert kinds(step.verdicts) == [(WAIT, "awaits_approval")]
    assert not step.state.holdings
    assert not step.state.trades
    fact = published(step.verdicts[0], session_id="session-1", user_id="user-1", limits=now().terms.limits)
    assert isinstance(fact, EntryAwaitsApproval)
    (waiting,) = step.state.waiting.values()
    assert (fact.approval_id, fact.quantity, fact.expires_ns) == (
        waiting.approval_id, waiting.quantity, AT_NS + 60 * SECOND,
    )  # fmt: skip
    assert fact.quantity == on_signal(RiskState(), entry("p1"), situation()).state.holdings["p1"].quantity
    assert journalled(step.verdicts[0], fact, session_id="session-1").verdict == "WAIT"
    assert decode(encode(step.state)) == step.state


def test_what_a_rule_refuses_does_not_wait() -> None:
    step = on_signal(RiskState(), entry("p1"), now(killed=True))
    assert kinds(step.verdicts) == [("BLOCK", "kill_switch")]
    assert not step.state.waiting


def test_a_session_that_asks_for_no_approval_and_an_order_by_hand_wait_for_nobody() -> None:
    assert on_signal(RiskState(), entry("p1"), situation()).verdicts[0].kind is VerdictKind.ALLOW
    by_hand = on_signal(RiskState(), entry("p1", strategy="manual"), now())
    assert by_hand.verdicts[0].kind is VerdictKind.ALLOW
    program = on_signal(RiskState(), entry("p1", strategy="webhook.chart"), now())
    assert program.verdicts[0].kind is WAIT


def test_a_yes_is_judged_by_the_market_of_then_and_says_whose_it_is() -> None:
    step = word(parked())
    (verdict,) = step.verdicts
    assert (verdict.kind, verdict.detail) == (VerdictKind.ALLOW, "let in by asha: looks good")
    assert verdict.approval is not None
    assert verdict.ts_event_ns == verdict.approval.holding.approved_ns == SOON
    assert verdict.approval.valid_until_ns == SOON + 120 * SECOND
    assert list(step.state.holdings) == ["p1"]
    assert not step.state.waiting
    again = on_word(step.state, PersonsWord(entry("p1").event_id, True, "asha", "-"), now(SOON), Cause(SOON, "w", "t"))
    assert kinds(again.verdicts) == [("IGNORED", "not_waiting")]
    assert again.state == step.state


def test_what_a_rule_refuses_by_then_is_refused_although_a_person_said_yes() -> None:
    state = parked(max_concurrent_trades=1)
    state = on_signal(state, entry("p2", strategy="manual", instrument=OTHER), now(max_concurrent_trades=1)).state
    step = word(state, around=now(SOON, max_concurrent_trades=1))
    assert kinds(step.verdicts) == [("BLOCK", "max_concurrent_trades")]
    assert not step.state.waiting
    paused = on_command(parked(), command(CommandKind.PAUSE, ts_ns=SOON), now(SOON)).state
    assert kinds(word(paused).verdicts) == [("BLOCK", "session_paused")]
    assert kinds(word(parked(), around=now(SOON, killed=True)).verdicts) == [("BLOCK", "kill_switch")]
    assert kinds(word(parked(), around=now(SOON + 90 * SECOND)).verdicts) == [("BLOCK", "stale_signal")]


class LastAt:
    def __init__(self, price_paise: int) -> None:
        self._price_paise = price_paise

    def of(self, instrument: int) -> LastTraded:
        return LastTraded(SOON, self._price_paise, 0, 0)


@pytest.mark.parametrize(
    ("side", "stop", "last", "kind"),
    [
        (Side.LONG, 49_500, 49_500, "stop_passed"), (Side.LONG, 49_500, 49_505, "all_passed"),
        (Side.SHORT, 50_500, 50_500, "stop_passed"), (Side.SHORT, 50_500, 50_495, "all_passed"),
    ],
)  # fmt: skip
def test_what_would_be_stopped_out_at_once_is_not_entered(side: Side, stop: int, last: int, kind: str) -> None:
    state = parked(entry("p1", side=side, stop_paise=stop))
    step = word(state, around=replace(now(SOON), last_ticks=LastAt(last)))
    assert [rule for _, rule in kinds(step.verdicts)] == [kind]


def test_a_no_is_told_with_whose_it_is() -> None:
    step = word(parked(), is_yes=False)
    (verdict,) = step.verdicts
    fact = published(verdict, session_id="session-1", user_id="user-1", limits=now().terms.limits)
    assert isinstance(fact, EntryBlocked)
    assert (fact.rule, fact.detail, fact.ts_event_ns) == ("approval_refused", "refused by asha: looks good", SOON)
    assert not step.state.waiting


def test_what_nobody_answers_expires_by_the_clock_alone_and_is_told() -> None:
    state = parked()
    assert next_due_ns(state) == AT_NS + 60 * SECOND
    assert on_time(state, now_ns=AT_NS + 60 * SECOND - 1) == RiskStep(state.at(AT_NS))
    step = on_time(state, now_ns=AT_NS + 60 * SECOND)
    assert kinds(step.verdicts) == [("BLOCK", "approval_expired")]
    assert next_due_ns(step.state) is None
    late = word(state, at_ns=AT_NS + 60 * SECOND)
    assert kinds(late.verdicts) == [("BLOCK", "approval_expired")]
    assert not late.state.holdings


@pytest.mark.parametrize(
    ("kind", "rule"), [(CommandKind.STOP, "session_stopping"), (CommandKind.KILL, "kill_switch")]
)  # fmt: skip
def test_stop_and_kill_end_what_waits(kind: CommandKind, rule: str) -> None:
    step = on_command(parked(), command(kind, ts_ns=SOON), now(SOON))
    assert kinds(step.verdicts) == [("BLOCK", rule)]
    assert not step.state.waiting


def test_a_session_that_is_over_leaves_nothing_waiting() -> None:
    step = on_over(parked(), Cause(SOON, "over", "t"))
    assert kinds(step.verdicts) == [("BLOCK", "session_stopping")]
    assert on_command(parked(), command(CommandKind.FLATTEN, ts_ns=SOON), now(SOON)).state.waiting


def test_who_asks_for_the_exit_of_what_waits_takes_it_back() -> None:
    step = on_signal(parked(), exit_signal("p1", ts_ns=SOON), now(SOON))
    assert kinds(step.verdicts) == [("IGNORED", "no_position"), ("BLOCK", "withdrawn")]
    assert not step.state.waiting
    assert on_signal(parked(), exit_signal("p9", ts_ns=SOON), now(SOON)).state.waiting


def test_exits_never_wait() -> None:
    state = on_signal(RiskState(), entry("p1", strategy="manual"), now()).state
    state = on_fact(state, opened("p1", quantity=100), now()).state
    step = on_signal(state, exit_signal("p1", ts_ns=SOON), now(SOON))
    assert kinds(step.verdicts) == [("EXIT", "exit_signal")]


def test_one_entry_of_a_strategy_in_a_symbol_waits_at_a_time() -> None:
    again = entry("p2", ts_ns=SOON)
    step = on_signal(parked(), again, now(SOON))
    assert kinds(step.verdicts) == [("BLOCK", "awaits_approval")]
    others = on_signal(
        on_signal(parked(), entry("p3", instrument=OTHER), now()).state, entry("p4", strategy="x"), now()
    )
    assert len(others.state.waiting) == 3


LEGS = tuple(
    Leg(one.instrument_id, one.symbol, Side.LONG, 1, price_paise=50_000, stop_paise=49_500) for one in (STOCK, OTHER)
)
GROUP = group_id("session-1", "orb", "NIFTY", AT_NS)


def legs(*, ts_ns: int = AT_NS) -> list[EntrySignal]:
    group = Group(0, 2_150_000, LEGS)
    return [
        replace(
            entry(leg_pos_id(GROUP, one.symbol), instrument=stock, ts_ns=ts_ns), group_id=GROUP, group=group
        )
        for one, stock in zip(LEGS, (STOCK, OTHER), strict=True)
    ]  # fmt: skip


def test_the_legs_of_a_group_wait_together_and_get_in_together() -> None:
    first, second = legs()
    step = on_signal(RiskState(), first, now())
    assert kinds(step.verdicts) == [(WAIT, "awaits_approval")]
    both = on_signal(on_signal(step.state, second, now()).state, second, now())
    assert both.verdicts == ()
    assert decode(encode(both.state)) == both.state
    done = word(both.state)
    assert kinds(done.verdicts) == [("ALLOW", "all_passed")] * 2
    assert len({one.quantity for one in done.state.holdings.values()}) == 1
    refused = word(both.state, is_yes=False)
    assert kinds(refused.verdicts) == [("BLOCK", "approval_refused")] * 2
    early = word(step.state)
    late = on_signal(early.state, replace(second, ts_event_ns=SOON), now(SOON))
    assert kinds(early.verdicts + late.verdicts) == [("ALLOW", "all_passed")] * 2


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("entry"), st.integers(0, 3)), st.tuples(st.just("yes"), st.integers(0, 3)),
        st.tuples(st.just("no"), st.integers(0, 3)), st.tuples(st.just("exit"), st.integers(0, 3)),
        st.tuples(st.just("time"), st.integers(1, 70)), st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=25,
)  # fmt: skip


@given(_STEPS)
def test_nothing_is_approved_without_a_yes_nor_twice_nor_late_and_every_end_is_told_once(
    steps: list[tuple[str, int]],
) -> None:
    state, at_ns, said_yes = RiskState(), AT_NS, set[str]()
    asked, ended = dict[str, int](), list[str]()
    stocks = (STOCK, OTHER, INDEX, STOCK)
    for number, (what, which) in enumerate(steps):
        around = now(at_ns, max_concurrent_trades=9, max_trades_per_symbol_per_day=99)
        before = state
        match what:
            case "entry":
                signal = entry(f"p{number}", ts_ns=at_ns, instrument=stocks[which], strategy=f"s{which}")
                step = on_signal(state, signal, around)
            case "yes" | "no":
                names = sorted(state.waiting)
                name = names[which % len(names)] if names else "nothing"
                if what == "yes":
                    said_yes.add(name)
                step = on_word(
                    state, PersonsWord(name, what == "yes", "asha", "-"), around, Cause(at_ns, f"w{number}", "t")
                )
            case "exit":
                step = on_signal(state, exit_signal(f"p{which}", ts_ns=at_ns), around)
            case "time":
                at_ns += which * SECOND
                step = on_time(state, now_ns=at_ns)
            case _:
                step = on_command(state, command(CommandKind.STOP, ts_ns=at_ns, number=number), around)
        state = step.state
        for one in step.verdicts:
            assert one.signal is not None or one.kind in (VerdictKind.IGNORED, VerdictKind.EXIT)
            if one.kind is WAIT:
                assert one.waiting is not None
                asked[one.waiting.approval_id] = at_ns
            elif one.kind in (VerdictKind.ALLOW, VerdictKind.REDUCE):
                assert one.signal is not None
                assert one.signal.event_id in said_yes
                assert at_ns < asked[one.signal.event_id] + 60 * SECOND
                ended.append(one.signal.event_id)
            elif one.kind is VerdictKind.BLOCK and one.signal is not None and one.signal.event_id in before.waiting:
                ended.append(one.signal.event_id)
    assert len(ended) == len(set(ended))
    assert set(ended) | set(state.waiting) == set(asked)
    assert not set(ended) & set(state.waiting)
