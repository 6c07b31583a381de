"""What `tradebus status` shows."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.place import find_gateway, find_run, state_dir
from services.cli.stack.rundir import alive_runs
from services.gateway.killswitch import kill_switch_in
from tradebus.calendar.review import RemarkKind
from tradebus.kernel.errors import Unavailable
from tradebus.store.books.kill_switch import KILL_FILE, reasons_in

_OVER = ("STOPPED", "FAILED")


async def read_status(stack: str | None, *, url: str | None, token_file: Path | None) -> dict[str, Any]:
    """Stacks of this machine, and what the chosen one's gateway says. Raises Unavailable where nothing runs.

    `gateway` says why there are no sessions where it does not answer.
    """
    found: dict[str, Any] = {"state_dir": str(state_dir()), "stacks": [asdict(run) for run in alive_runs(state_dir())]}
    if url is None:
        found["stack"] = find_run(stack).name
    try:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            found["gateway"] = "ready"
            found |= await client.get("/api/sessions", limit=20)
            found |= await client.get("/api/portfolio")
            found |= await client.get("/api/approvals", limit=100)
            found |= await client.get("/api/order_budgets", limit=100)
            found |= await client.get("/api/accounts", limit=100)
            found["health"] = await client.get("/api/health")
            found["kill_switch"] = found["health"]["kill_switch"]
    except Unavailable as error:
        if url is not None:
            raise
        found["gateway"] = str(error)
        found["kill_switch"] = kill_switch_in(reasons_in(Path(find_run(stack).state_dir) / KILL_FILE))
    return found


def kill_line(switch: Mapping[str, Any]) -> str:
    """What a person must know of the switch; "" while it is not engaged."""
    if not switch.get("engaged"):
        return ""
    since = f" since {switch['since_utc'][:19]}Z" if switch.get("since_utc") else ""
    again = "".join(f"; again{_at(one)}: {one['reason']}" for one in switch.get("further", ()))
    return (
        f"KILL SWITCH ENGAGED{since}: {switch['reason']}{again}. No entries; `tradebus kill --reset` releases it, then "
        "`tradebus resume USER` for each session"
    )


def _at(one: Mapping[str, Any]) -> str:
    return f" at {one['at_utc'][:19]}Z" if one["at_utc"] else ""


def waiting_line(approvals: Sequence[Mapping[str, Any]]) -> str:
    """That somebody's word is waited for; "" where nothing waits."""
    if not approvals:
        return ""
    first = min(str(one["expires_at"]) for one in approvals)
    entries = "1 entry waits" if len(approvals) == 1 else f"{len(approvals)} entries wait"
    return f"{entries} for a person, until {first[11:19]}: `tradebus approvals list`"


def session_state(session: Mapping[str, Any], switch: Mapping[str, Any]) -> str:
    """A session's status, and what keeps it from making entries."""
    status = str(session["status"])
    if status in _OVER:
        return status
    why = ["killed"] if switch.get("engaged") else []
    why += [f"halted: {session['halted']}"] if session.get("halted") else []
    why += [f"{part} halted: {rule}" for part, rule in (session.get("halted_parts") or {}).items()]
    return f"{status} ({', '.join(why)})" if why else status


def rules_lines(remarks: Sequence[Mapping[str, Any]], *, listed: bool) -> list[str]:
    """What a person should know of the market's rules: every remark, or how many of each kind there are; what is
    missing is said every time."""
    spoken = [one for one in remarks if listed or one["kind"] == RemarkKind.MISSING]
    counts = Counter(one["kind"] for one in remarks if one not in spoken)
    lines = [f"market rules: {one['text']}" for one in spoken]
    if counts:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
        lines.append(f"market rules: {kinds}; `tradebus status --rules` lists them")
    return lines


def print_status(found: dict[str, Any], *, rules: bool = False) -> None:
    """`rules`: with every remark on the market's rules."""
    console = Console(file=sys.stdout, highlight=False)
    for run in found["stacks"]:
        chosen = " *" if run["name"] == found.get("stack") else ""
        console.print(f"{run['name']}{chosen}  {run['gateway_url']}  since {run['started_utc'][:19]}Z", soft_wrap=True)
        for name, service in run["services"].items():
            state = f"process {service['pid']}" if service["pid"] else "down"
            failing = f"  it {service['failing']} (log: {service['log']})" if service["failing"] else ""
            console.print(
                f"  {name:<16} {state:<16} restarts {service['restarts']}{failing}", soft_wrap=True, markup=False
            )
    switch = found.get("kill_switch", {})
    if line := kill_line(switch):
        console.print(line, soft_wrap=True, markup=False)
    if found["gateway"] != "ready":
        console.print(found["gateway"], soft_wrap=True)
        return
    for line in rules_lines(found["health"].get("market_rules", {}).get("remarks", []), listed=rules):
        console.print(line, soft_wrap=True, markup=False)
    if line := waiting_line(found.get("approvals", [])):
        console.print(line, soft_wrap=True, markup=False)
    print_sessions([{**one, "status": session_state(one, switch)} for one in found["sessions"]])
    print_positions([one for session in found["portfolio"] for one in session["positions"]])
    for line in account_lines(found.get("accounts", [])):
        console.print(line, soft_wrap=True, markup=False)
    if budgets := found.get("order_budgets"):
        print_order_budgets(budgets)


def account_lines(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each account has made today by our book and by its broker's, and in what they differ."""
    lines = []
    for one in accounts:
        if (profit := one["profit"]) is None:
            continue
        lines.append(
            f"account {one['account']}: {profit['ours']:,.2f} today with us, {profit['brokers']:,.2f} at the broker, "
            f"before charges; {abs(profit['difference']):,.2f} apart"
        )
        lines += [
            f"  {part['symbol']}: {'held alone' if part['ours'] is None else format(part['ours'], ',.2f')} "
            f"with us, {part['brokers']:,.2f} at the broker"
            for part in profit["differences"]
        ]
    return lines


def mismatch_lines(session: Mapping[str, Any]) -> list[str]:
    """What a session's broker account and the book disagree about, and what to do; nothing of one that is over."""
    if session["status"] in _OVER:
        return []
    return [
        f"{one['what']}: {one['ours']} with us, {one['brokers']} at the broker. {one['action']}"
        for one in session.get("mismatches") or []
    ]


def print_sessions(sessions: Sequence[Mapping[str, Any]]) -> None:
    columns = {name: name for name in ("user_id", "mode", "status", "trades", "net_pnl")}
    notes = []
    for one in sessions:
        why = f"  {one['reason']}" if one.get("reason") and not str(one["status"]).startswith("RUNNING") else ""
        notes.append("\n    ".join([f"session {one['session_id']}{why}", *mismatch_lines(one)]))
    _print_rows("sessions", sessions, columns, notes)


def print_positions(positions: Sequence[Mapping[str, Any]]) -> None:
    columns = {
        "user_id": "user_id", "strategy": "strategy", "symbol": "symbol", "side": "side", "qty": "quantity",
        "entry": "entry_price", "last": "last_price", "P&L": "unrealised_pnl",
    }  # fmt: skip
    notes = [f"group {one['group_id']}" if one["group_id"] else "" for one in positions]
    _print_rows("open positions", positions, columns, notes)


def print_order_budgets(budgets: Sequence[Mapping[str, Any]]) -> None:
    """What each account has used of its broker's order limits: used / cap of each span, and orders to trades."""
    spans = list(dict.fromkeys(one["span"] for budget in budgets for one in budget["spans"]))
    rows, notes = [], []
    for budget in budgets:
        used = {one["span"]: f"{one['used']}/{one['cap']}" for one in budget["spans"]}
        ratio = budget["order_to_trade"]
        rows.append({
            "account": budget["account"], **{span: used.get(span, "-") for span in spans},
            "orders:trades": f"{ratio['orders']}:{ratio['trades']}" if ratio is not None else "-",
        })  # fmt: skip
        notes.append(budget["problem"] or "")
    _print_rows("order budgets", rows, {name: name for name in ("account", *spans, "orders:trades")}, notes)


def _print_rows(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], notes: Sequence[str]
) -> None:
    """Each row, and below it its note. Nothing is cut, however narrow the terminal: a price without its last digits is
    another price."""
    if not rows:
        print(f"no {title}")
        return
    cells = [list(columns), *([str(row[field]) for field in columns.values()] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    numbers = [all(isinstance(row[field], int | float) for row in rows) for field in columns.values()]
    print(f"{title}:")
    for line, note in zip(cells, ["", *notes], strict=True):
        placed = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        )  # fmt: skip
        print(f"  {'  '.join(placed)}".rstrip())
        if note:
            print(f"    {note}")
