"""What `tradebus demo` does: a generated day, two users, a running summary, the day's report."""

from datetime import date, timedelta
from typing import Any

from services.cli.output import print_json, say
from services.cli.reports.present import print_report, write_files
from services.cli.runs.paced import WantedSession, run_paced
from services.cli.runs.trading import new_name, run_facts, run_figures
from services.cli.stack.assembly import Plan, open_stack, preferred_port
from tradebus.calendar import is_trading_day
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import ist_date
from tradebus.store.store import Store

STOCKS = ("RELIANCE", "TCS", "INFY")
SYMBOLS = ("NIFTY", "BANKNIFTY", *STOCKS)
_SUMMARY_SECONDS = 5.0
_SUMMARY = """
SELECT s.user_id, count(t.pos_id) FILTER (WHERE t.state = 'CLOSED' AND t.entry_quantity > 0) AS closed,
       count(t.pos_id) FILTER (WHERE t.entry_quantity > t.exit_quantity) AS open,
       coalesce(sum(t.net_pnl_paise), 0)::bigint AS net_pnl_paise
FROM sessions s LEFT JOIN trades t USING (session_id) GROUP BY s.user_id ORDER BY s.user_id
"""


async def run_demo(*, seed: int, day: date | None, speed: str, port: int, keep: bool, json: bool) -> None:
    """Prints the report. Raises InvalidInput for a day without trading."""
    chosen = day or last_trading_day(ist_date(WallClock().now_ns()))
    if not is_trading_day(chosen):
        raise InvalidInput(f"--day {chosen}: the exchange is closed that day")
    name = new_name("demo")
    feed = {
        "TRADEBUS_FEED": "generated",
        "TRADEBUS_SYMBOLS": ",".join(SYMBOLS),
        "TRADEBUS_FROM": chosen.isoformat(),
        "TRADEBUS_TO": chosen.isoformat(),
        "TRADEBUS_SPEED": speed,
        "TRADEBUS_SEED": str(seed),
    }
    plan = Plan(name=name, command="demo", namespace=name, paced=True, feed=feed, gateway_port=preferred_port(port))
    async with open_stack(plan, keep=keep) as stack:
        say(f"dashboard and API: {stack.state.gateway_url}  (token: {stack.state.token_file})")
        watcher = Summary()
        outcome = await run_paced(
            stack, sessions(seed), symbols=SYMBOLS, from_date=chosen, to_date=chosen, watcher=watcher
        )
        figures = run_figures(stack, outcome, first=chosen, last=chosen, days=1, seed=seed)
        write_files(outcome.report, figures, stack.run_dir)
        if not json:
            print_report(
                outcome.report, title=f"Generated day {chosen}, seed {seed}", facts=run_facts(stack, outcome, keep=keep)
            )
    if json:
        print_json(figures)


def sessions(seed: int) -> list[WantedSession]:
    """Two users, each with a strategy, symbols, capital and limits of their own."""
    paper = {"seed": seed}
    return [
        WantedSession(
            "asha",
            {"strategies": ["orb"], "symbols": ["NIFTY", "BANKNIFTY"], "capital": 2_000_000, "paper": paper,
             "limits": {"daily_max_loss": 40_000}},
        ),
        WantedSession(
            "ravi",
            {"strategies": ["ema_20_50"], "symbols": ["BANKNIFTY", *STOCKS], "capital": 1_500_000, "paper": paper,
             "limits": {"max_concurrent_trades": 4}},
        ),
    ]  # fmt: skip


def last_trading_day(today: date) -> date:
    """Today, or the trading day before it."""
    while not is_trading_day(today):
        today -= timedelta(days=1)
    return today


class Summary:
    """One line every few seconds: how far the day is, and how each user stands."""

    def __init__(self) -> None:
        self._due_ns = 0

    async def show(self, status: dict[str, Any], store: Store) -> None:
        if not status or monotonic_ns() < self._due_ns:
            return
        self._due_ns = monotonic_ns() + int(_SUMMARY_SECONDS * 1e9)
        users = [
            f"{row['user_id']}: {row['closed']} trades, {row['open']} open, {format_rupees(row['net_pnl_paise'])}"
            for row in await store.pool.fetch(_SUMMARY)
        ]
        say(f"{status['fraction']:>4.0%} of {status['day'] or 'the day'}  {'   '.join(users)}")
