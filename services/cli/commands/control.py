"""`tradebus start|stop|pause|resume|flatten|settle`: commands to a running stack."""

from pathlib import Path
from typing import Annotated, Any

import typer

User = Annotated[str, typer.Argument(help="Whose session.")]
StackOption = Annotated[
    str | None, typer.Option("--stack", help="Which stack, where several run: its name or namespace.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="TRADEBUS_GATEWAY_URL", help="The gateway's address, where it is not a stack of this machine."
    ),
]
TokenFile = Annotated[Path | None, typer.Option(help="File with the API token; TRADEBUS_API_TOKEN goes before it.")]
Reason = Annotated[str, typer.Option(help="Kept with the command.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
ModeOption = Annotated[
    str,
    typer.Option(help="paper; live, behind the gates of preflight at a real broker; dry-run: the gates, and paper."),
]
ProtectionOption = Annotated[
    str | None,
    typer.Option(help="gtt: stop and target stand at the broker as one trigger of its own (kite, paper)."),
]
ApprovalOption = Annotated[
    int | None, typer.Option(min=5, max=3600, help="Entries wait so many seconds for your yes; else for nobody.")
]
DaysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--schedule",
        help="On which days it enters: days=MON,THU, expiry_days_only=true, days_to_expiry=0,1, from=…, to=….",
    ),
]

_START_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    for command in (start, stop, pause, resume, flatten, settle, limits):
        app.command()(command)


def start(
    user: User,
    strategy: Annotated[str | None, typer.Option(help="orb, ema_20_50, ema_cross, or several with commas.")] = None,
    symbol: Annotated[str, typer.Option(help="What to trade, several with commas.")] = "",
    capital: Annotated[str, typer.Option(help="Rupees.")] = "1000000",
    strategy_file: Annotated[list[Path] | None, typer.Option(help="A strategy of your own: one Python file.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value, or strategy.name=value.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="A risk limit, such as daily_max_loss=5000.")] = None,
    trailing: Annotated[list[str] | None, typer.Option(help="How stops trail, such as distance_r=1.")] = None,
    mode: ModeOption = "paper",
    broker: Annotated[str | None, typer.Option(help="With --mode live: kite, dhan or upstox takes the orders.")] = None,
    credential: Annotated[str | None, typer.Option(help="With --mode live: the stored login.")] = None,
    protection: ProtectionOption = None,
    schedule: DaysOption = None,
    approval: ApprovalOption = None,
    stack: StackOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Start a session for a user on a running stack, on paper unless --mode says otherwise, and wait until it runs.
    Repeating it is harmless.

    Examples:

    tradebus start 123 --strategy orb --symbol BANKNIFTY --capital 2000000

    tradebus start asha --strategy orb,ema_20_50 --symbol NIFTY,RELIANCE --limit daily_max_loss=5000 --json

    tradebus start me --strategy orb --symbol NIFTY --mode live --broker kite --credential me --limit daily_max_loss_r=3

    tradebus start 123 --strategy orb --symbol NIFTY --schedule days_to_expiry=0,1 --schedule to=2026-12-31
    """
    from services.cli.arguments import parse_pairs, schedule_data, strategy_items

    data: dict[str, Any] = {
        "strategies": strategy_items(strategy, strategy_file or [], param or []),
        "symbols": [part.strip() for part in symbol.split(",") if part.strip()],
        "capital": capital,
    }
    given = {
        "mode": None if mode == "paper" else mode, "broker": broker, "credential": credential,
        "approval_seconds": approval, "protection": protection,
    }  # fmt: skip
    data |= {name: value for name, value in given.items() if value is not None}
    limits = parse_pairs(limit or [], option="--limit")
    if limits:
        data["limits"] = limits
    if trail := parse_pairs(trailing or [], option="--trailing"):
        data["trailing"] = trail
    if days := schedule_data(schedule or []):
        data["schedule"] = days
    _send("START_TRADING", user, data, stack=stack, url=url, token_file=token_file, json=json)


def stop(
    user: User, reason: Reason = "command", stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Close a user's positions and end the session. Repeating it is harmless.

    Example: tradebus stop 123
    """
    _send("STOP_TRADING", user, {"reason": reason}, stack=stack, url=url, token_file=token_file, json=json)


def pause(
    user: User, reason: Reason = "command", stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Make no new entries for a user; open positions stay supervised.

    Example: tradebus pause 123 --reason lunch
    """
    _send("PAUSE_TRADING", user, {"reason": reason}, stack=stack, url=url, token_file=token_file, json=json)


def resume(
    user: User, reason: Reason = "command", stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Let a paused session make entries again.

    Example: tradebus resume 123
    """
    _send("RESUME_TRADING", user, {"reason": reason}, stack=stack, url=url, token_file=token_file, json=json)


def flatten(
    user: User,
    strategy: Annotated[str | None, typer.Option(help="Only what this strategy holds.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only what is held of this symbol and its contracts.")] = None,
    position: Annotated[str | None, typer.Option(help="Only this one; `tradebus status --json` has its id.")] = None,
    reason: Reason = "command", stack: StackOption = None, url: Url = None, token_file: TokenFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Close every position of a user's session, or a part of them; the session goes on. What others hold stays, in
    the same account and in the same symbol.

    Examples:

    tradebus flatten 123

    tradebus flatten 123 --strategy orb --symbol BANKNIFTY
    """
    given = {"reason": reason, "strategy": strategy, "symbol": symbol, "pos_id": position}
    data = {name: value for name, value in given.items() if value is not None}
    _send("FLATTEN", user, data, stack=stack, url=url, token_file=token_file, json=json)


def settle(
    user: User,
    position: Annotated[str, typer.Argument(help="The position's id, as `tradebus status --json` has it.")],
    reason: Annotated[str, typer.Option(help="What became of it, for whoever looks at it later.")],
    price: Annotated[str | None, typer.Option(help="Rupees a unit; else the broker's own fills tell.")] = None,
    quantity: Annotated[int | None, typer.Option(min=1, help="Units; else all that is open.")] = None,
    stack: StackOption = None, url: Url = None, token_file: TokenFile = None, json: Json = False,
) -> None:  # fmt: skip
    """Book what somebody closed by hand at the broker, or the broker squared off. No order is sent: units that the
    broker still has are left without protection by it.

    Examples:

    tradebus settle 123 01a210f7-b940-7673-b0e1-478023161e09 --reason "sold at the terminal"

    tradebus settle 123 01a210f7-b940-7673-b0e1-478023161e09 --price 25990.50 --reason "squared off at the close"
    """
    given = {"pos_id": position, "reason": reason, "price": price, "quantity": quantity}
    data = {name: value for name, value in given.items() if value is not None}
    _send("SETTLE", user, data, stack=stack, url=url, token_file=token_file, json=json)


def limits(
    user: Annotated[str | None, typer.Argument(help="Whose session; nobody's with --scope.")] = None,
    scope: Annotated[
        str | None, typer.Option(help='What several sessions share: all, "account NAME" or "user NAME".')
    ] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="name=value; none takes a limit away.")] = None,
    strategy: Annotated[str | None, typer.Option(help="The limits of this strategy of the session.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --set: why. Kept with the change.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who changes them; your login where not given.")] = None,
    widen: Annotated[
        bool, typer.Option("--widen", help="Mean it where more may be lost or bound than before.")
    ] = False,
    stack: StackOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show how far a user's session is from each of its limits, or change limits while it runs; or those that several
    sessions share.

    A change is kept with who made it, when and why. What would be wider than before is refused without --widen.

    Examples:

    tradebus limits 123

    tradebus limits 123 --set daily_max_loss=5000 --reason "two losses before ten"

    tradebus limits --scope "account kite" --set daily_max_loss=50000 --reason "a wild morning"

    tradebus limits 123 --strategy orb --set max_concurrent_trades=none --widen --reason "as agreed"
    """
    from services.cli.arguments import parse_pairs
    from services.cli.limits import change_data, check_whose, show_limits, show_shared

    check_whose(user, scope=scope)
    if change:
        data = change_data(
            parse_pairs(change, option="--set"), strategy=strategy, scope=scope, by=by, reason=reason, widen=widen
        )
        action = "SET_LIMITS" if scope is None else "SET_SHARED_LIMITS"
        _send(action, user, data, stack=stack, url=url, token_file=token_file, json=json)
    elif user is not None:
        show_limits(user, stack=stack, url=url, token_file=token_file, json=json)
    else:
        show_shared(str(scope), stack=stack, url=url, token_file=token_file, json=json)


def _send(
    action: str, user: str | None, data: dict[str, Any], *, stack: str | None, url: str | None, token_file: Path | None,
    json: bool,
) -> None:  # fmt: skip
    from services.cli.output import print_json, run_async
    from services.cli.place import find_gateway

    async def send() -> dict[str, Any]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            reply = await client.command(action, user_id=user, data=data)
            if reply["session_status"] == "STARTING" and action == "START_TRADING":
                session = await client.until(reply["session_id"], "RUNNING", "PAUSED", seconds=_START_SECONDS)
                reply["session_status"] = session["status"]
            return reply

    reply = run_async(send())
    if json:
        print_json({"command": action, **reply})
        return
    if user is None:
        print(f"{action} {reply['status']}")
        return
    print(f"{action} {reply['status']}: session {reply['session_id']} of user {user} is {reply['session_status']}")
