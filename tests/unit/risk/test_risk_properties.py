"""Arbitrary interleavings of signals, reports, commands and ticks against a shadow book that knows only the limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import (
    OTHER,
    SECOND,
    STOCK,
    at,
    cancelled,
    closed,
    command,
    entry,
    every_second,
    exit_signal,
    opened,
    rejected,
    situation,
    spec,
)

from services.risk.adapters.codec import decode, encode
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import ScopeLimits, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.kernel.time import ist_date
from tradebus.risk.commands import CommandKind
from tradebus.risk.marking import held_instruments, select
from tradebus.risk.published import JournalLine, journalled, published
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_signal, on_ticks
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Approval, Verdict, VerdictKind
from tradebus.runtime.rendering import fact_of, message_of

CAPITAL = 10_000_000
LIMITS: dict[str, Any] = {
    "max_concurrent_trades": 3, "max_trades_per_symbol_per_day": 4, "cooldown_seconds": 20, "max_leverage": 1.5,
    "max_exposure_pct": 0.8, "risk_per_trade_pct": 5.0, "daily_max_loss_paise": 200_000, "daily_max_loss_pct": None,
    "consecutive_losses_limit": 3,
    "max_lots_per_trade": 150, "max_positions": 2, "order_min_interval_ms": 3_000, "max_orders_per_minute": 4,
    "symbol_max_loss_paise": 90_000, "max_exposure_paise": 9_000_000,
}  # fmt: skip
OWN = ScopeLimits(max_concurrent_trades=1, daily_max_loss_paise=80_000)
BUDGET = 4_000_000
SPEC = spec(
    capital_paise=CAPITAL, **LIMITS,
    strategies=[
        StrategySpec(name="orb"), StrategySpec(name="ema", limits=OWN), StrategySpec(name="micro", budget_paise=BUDGET),
    ],
)  # fmt: skip
EXPOSURE_MAX = LIMITS["max_exposure_paise"]
SYMBOLS, STRATEGIES = (STOCK, OTHER), ("orb", "ema", "micro")


@dataclass
class Trade:
    approval: Approval
    opened: bool = False
    exit_out: bool = False

    @property
    def exposure_paise(self) -> int:
        return self.approval.holding.quantity * self.approval.holding.price_paise


@dataclass
class World:
    """What happened so far, told by the verdicts and by what was done to them; knows nothing of RiskState's inside."""

    paced: bool
    restarts: bool
    state: RiskState = field(default_factory=RiskState)
    now_ns: int = at("09:20")
    trades: dict[str, Trade] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    last_ns: dict[str, int] = field(default_factory=dict)
    approved_ns: list[int] = field(default_factory=list)
    paused: bool = False
    stopped: bool = False
    killed: bool = False
    halts: int = 0
    number: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def situation(self) -> Situation:
        return situation(SPEC, data_ns=self.now_ns - 1, killed=self.killed, paced=self.paced)

    def take(self, step: RiskStep) -> tuple[Verdict, ...]:
        self.state = decode(encode(step.state)) if self.restarts else step.state
        for verdict in step.verdicts:
            self.check(verdict)
        self.verdicts += step.verdicts
        return step.verdicts

    def check(self, verdict: Verdict) -> None:
        if verdict.approval is not None:
            self.check_approval(verdict.approval)
        elif verdict.kind is VerdictKind.EXIT:
            trade = self.trades[verdict.pos_id or ""]
            assert not (trade.exit_out and trade.opened and self.state.holdings[verdict.pos_id or ""].exit_due)
            trade.exit_out = True
        elif verdict.kind is VerdictKind.HALT:
            self.halts += 1
            assert self.halts == 1

    def check_approval(self, approval: Approval) -> None:
        new = approval.holding
        assert (self.paused, self.stopped, self.killed, self.halts) == (False, False, False, 0)
        assert len(self.trades) < LIMITS["max_concurrent_trades"]
        for trade in self.trades.values():
            other = trade.approval.holding
            assert (other.strategy, other.symbol) != (new.strategy, new.symbol)
            assert other.symbol != new.symbol or other.side is new.side
        assert self.counts.get(new.symbol, 0) < LIMITS["max_trades_per_symbol_per_day"]
        assert self.now_ns - self.last_ns.get(new.symbol, 0) >= LIMITS["cooldown_seconds"] * SECOND
        assert len({trade.approval.holding.symbol for trade in self.trades.values()} | {new.symbol}) <= 2
        assert not self.approved_ns or self.now_ns - self.approved_ns[-1] >= 3 * SECOND
        assert sum(self.now_ns - ts_ns < 60 * SECOND for ts_ns in self.approved_ns) < LIMITS["max_orders_per_minute"]
        self.approved_ns.append(self.now_ns)
        own = [trade for trade in self.trades.values() if trade.approval.holding.strategy == new.strategy]
        assert new.strategy != "ema" or not own
        tied = sum(trade.exposure_paise for trade in own) + new.quantity * new.price_paise
        assert new.strategy != "micro" or tied <= BUDGET * 15 // 10
        exposure = sum(trade.exposure_paise for trade in self.trades.values()) + new.quantity * new.price_paise
        assert exposure <= EXPOSURE_MAX
        assert new.quantity * abs(new.price_paise - approval.stop_paise) <= CAPITAL * 5 // 100
        assert 0 < new.quantity <= LIMITS["max_lots_per_trade"]
        self.trades[new.pos_id] = Trade(approval)
        self.counts[new.symbol] = self.counts.get(new.symbol, 0) + 1

    def enter(self, symbol: int, strategy: int, side: Side, distance: int, price: int) -> None:
        self.number += 1
        stop = price - side.sign * distance
        signal = entry(
            f"p{self.number}", ts_ns=self.now_ns, instrument=SYMBOLS[symbol], strategy=STRATEGIES[strategy], side=side,
            price_paise=price, stop_paise=stop,
        )  # fmt: skip
        verdicts = self.take(on_signal(self.state, signal, self.situation))
        answers = [verdict.kind for verdict in verdicts if verdict.signal is signal]
        assert answers in ([VerdictKind.ALLOW], [VerdictKind.REDUCE], [VerdictKind.BLOCK])

    def chosen(self, index: int, *, opened: bool | None = None) -> tuple[str, Trade] | None:
        fitting = [item for item in self.trades.items() if opened is None or item[1].opened is opened]
        return fitting[index % len(fitting)] if fitting else None

    def open(self, index: int) -> None:
        found = self.chosen(index, opened=False)
        if found is None:
            return
        pos_id, trade = found
        holding = trade.approval.holding
        trade.opened = True
        self.last_ns[holding.symbol] = self.now_ns
        must_go = trade.exit_out or self.stopped or self.killed or bool(self.halts)
        verdicts = self.take(
            on_fact(
                self.state,
                opened(
                    pos_id,
                    ts_ns=self.now_ns,
                    quantity=holding.quantity,
                    price_paise=holding.price_paise,
                    instrument=SYMBOLS[0] if holding.symbol == "SBIN" else OTHER,
                    side=holding.side,
                    strategy=holding.strategy,
                ),
                self.situation,
            )
        )
        if must_go and not self.paced:
            assert [verdict.kind for verdict in verdicts] == [VerdictKind.EXIT]

    def end_entry(self, index: int, *, refuse: bool) -> None:
        found = self.chosen(index, opened=False)
        if found is None:
            return
        pos_id, trade = found
        end = rejected(pos_id, ts_ns=self.now_ns) if refuse else cancelled(pos_id, ts_ns=self.now_ns)
        self.take(on_fact(self.state, end, self.situation))
        del self.trades[pos_id]
        symbol = trade.approval.holding.symbol
        self.counts[symbol] -= 1

    def close(self, index: int, pnl: int) -> None:
        found = self.chosen(index, opened=True)
        if found is None:
            return
        pos_id, trade = found
        del self.trades[pos_id]
        symbol = trade.approval.holding.symbol
        self.last_ns[symbol] = self.now_ns
        fact = closed(pos_id, ts_ns=self.now_ns, net_pnl_paise=pnl, instrument=STOCK if symbol == "SBIN" else OTHER)
        self.take(on_fact(self.state, fact, self.situation))

    def exit(self, index: int) -> None:
        found = self.chosen(index)
        if found is None:
            return
        pos_id, trade = found
        out = trade.exit_out
        verdicts = self.take(on_signal(self.state, exit_signal(pos_id, ts_ns=self.now_ns), self.situation))
        asked = [verdict for verdict in verdicts if verdict.cause_id and verdict.pos_id == pos_id]
        assert asked[0].kind is (VerdictKind.IGNORED if out else VerdictKind.EXIT)

    def fail_exit(self, index: int) -> None:
        found = self.chosen(index, opened=True)
        if found is None:
            return
        found[1].exit_out = False
        self.take(on_fact(self.state, rejected(found[0], ts_ns=self.now_ns, role=OrderRole.EXIT), self.situation))

    def tick(self, symbol: int, prices: Sequence[int]) -> None:
        batch = every_second(self.now_ns, SYMBOLS[symbol], prices)
        self.now_ns += len(prices) * SECOND
        own = select(batch, sorted(held_instruments(self.state)) or [0])
        verdicts = self.take(on_ticks(self.state, own, self.situation, end_ns=self.now_ns))
        if any(verdict.kind is VerdictKind.HALT for verdict in verdicts):
            assert all(trade.exit_out for trade in self.trades.values() if trade.opened)

    def command(self, name: str) -> None:
        self.number += 1
        given = command(CommandKind(name.upper()), ts_ns=self.now_ns, number=self.number)
        self.take(on_command(self.state, given, self.situation))
        self.paused = {"pause": True, "resume": False}.get(name, self.paused)
        self.stopped |= name == "stop"
        self.killed |= name == "kill"
        if name in ("stop", "flatten", "kill"):
            assert all(trade.exit_out for trade in self.trades.values() if trade.opened)


indexes = st.integers(0, 5)


def entering(sides: st.SearchStrategy[Side], distances: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.tuples(
        st.just("enter"), st.integers(0, 1), st.integers(0, 2), sides, distances, st.integers(20_000, 60_000)
    )


RARE = st.one_of(
    entering(st.sampled_from(Side), st.integers(100, 5_000)),
    st.tuples(st.just("end_entry"), indexes),
    st.tuples(st.just("exit"), indexes),
    st.tuples(st.just("fail_exit"), indexes),
    st.tuples(st.just("tick"), st.integers(0, 1), st.lists(st.integers(15_000, 65_000), min_size=1, max_size=5)),
    st.tuples(st.just("command"), st.sampled_from(["pause", "resume", "flatten", "flatten", "stop", "kill"])),
)
USUAL = (
    entering(st.just(Side.LONG), st.integers(100, 2_000)),
    st.tuples(st.just("open"), indexes),
    st.tuples(st.just("close"), indexes, st.integers(-60_000, 60_000)),
)
Story = list[tuple[int, tuple[Any, ...]]]
STORIES = st.lists(st.tuples(st.integers(0, 40), st.one_of(*USUAL, *USUAL, *USUAL, RARE)), min_size=10, max_size=60)


def play(story: Story, *, paced: bool, restarts: bool = False) -> World:
    world = World(paced=paced, restarts=restarts)
    for wait_seconds, (name, *arguments) in story:
        world.now_ns += wait_seconds * SECOND
        if name == "end_entry":
            world.end_entry(arguments[0], refuse=bool(arguments[0] % 2))
        else:
            getattr(world, name)(*arguments)
        live = world.state.live()
        assert {holding.pos_id for holding in live} == set(world.trades)
        assert world.state.day == ist_date(world.now_ns) or not world.verdicts
    return world


@given(STORIES, st.booleans())
def test_no_interleaving_takes_the_session_beyond_a_limit_and_no_exit_is_blocked(story: Story, paced: bool) -> None:
    play(story, paced=paced)


@given(STORIES, st.booleans())
def test_a_restart_after_every_message_changes_no_decision(story: Story, paced: bool) -> None:
    without, with_restarts = play(story, paced=paced), play(story, paced=paced, restarts=True)
    assert without.verdicts == with_restarts.verdicts
    assert without.state == with_restarts.state


@given(STORIES, st.booleans())
def test_what_is_told_and_journalled_has_one_id_and_survives_the_wire(story: Story, paced: bool) -> None:
    world = play(story, paced=paced)
    lines: dict[str, JournalLine] = {}
    for verdict in world.verdicts:
        fact = published(verdict, session_id=SPEC.session_id, user_id=SPEC.user_id, limits=SPEC.limits)
        line = journalled(verdict, fact, session_id=SPEC.session_id)
        assert lines.setdefault(line.event_id, line) == line  # a repeat is the same decision
        if fact is None:
            assert verdict.kind is VerdictKind.IGNORED
            continue
        assert (fact.event_id, fact.rule, fact.pos_id) == (line.event_id, line.rule, line.pos_id)
        assert fact_of(parse(message_of(fact, source="risk", recorded_ns=1).to_json())) == fact
    assert len(lines) == len(world.verdicts)


@given(STORIES)
def test_two_signals_of_one_instant_cannot_both_pass_a_limit_of_one(story: Story) -> None:
    world = play(story, paced=False)
    limit = situation(spec(capital_paise=CAPITAL, max_concurrent_trades=1, max_leverage=10.0), data_ns=world.now_ns)
    state, approved = world.state, 0
    for number, instrument in enumerate(SYMBOLS):
        step = on_signal(state, entry(f"q{number}", ts_ns=world.now_ns, instrument=instrument), limit)
        approved += sum(verdict.approval is not None for verdict in step.verdicts)
        state = step.state
    assert approved + len(world.trades) <= max(1, len(world.trades))
