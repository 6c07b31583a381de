"""What `tradebus login` does: a token, by browser, from a file or from a sandbox, into the encrypted store.

No secret is ever printed, and none is taken from the command line, which other users of the machine can read.
"""

import asyncio
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from services.cli.arguments import parse_broker
from services.cli.brokers.access import audited, broker_url, credentials
from services.cli.brokers.callback import LoginCallback
from services.cli.brokers.sandbox_admin import SandboxAdmin
from services.cli.brokers.scripted import check_scripted, numbers, renewed, with_numbers
from services.cli.output import Verbosity, print_json, say
from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.log import ExchangeLog
from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import Broker, open_broker
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.logs import configure_logs
from tradebus.waiting.timers import wall_timers


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """The options."""

    broker: str
    url: str | None
    name: str | None
    client_id: str | None
    secret_file: Path | None
    answer_file: Path | None
    token_file: Path | None
    sandbox: str | None
    account: str
    callback_port: int | None = None
    callback_seconds: float = 300.0
    totp_file: Path | None = None
    totp: bool = False
    renew: bool = False


class NotLoggedIn(TradebusError):
    """The broker does not take the token."""


async def run_login(request: LoginRequest, *, json: bool) -> None:
    """Stores the login and says what the broker thinks of it. Raises InvalidInput, BrokerError, NotLoggedIn."""
    parse_broker(request.broker, option="--broker")
    _check_scripted(request)
    configure_logs("tradebus", level="debug" if Verbosity.log_level == "debug" else "warning")
    kept, name = credentials(), request.name or request.broker
    before = kept.get(name) if name in kept else Credential(request.broker)
    if before.broker != request.broker:
        raise InvalidInput(f"--credential {name}: is a login at {before.broker}; choose another name")
    application = await _application(request, before)
    with audited() as log_of:
        log = log_of(f"{request.broker}:{name}")
        credential = await _credential(request, application, log)
        state, whose = await _state(credential, broker_url(request.broker, request.url), log)
    if whose and before.account and before.account != whose:
        raise InvalidInput(
            f"--credential {name}: is stored for account {before.account}, and this login is of {whose}: choose "
            "another name; nothing was stored"
        )
    if state is SessionState.EXPIRED:
        raise NotLoggedIn(f"{request.broker}: the token is not accepted; nothing was stored")
    kept.put(name, replace(credential, account=whose or credential.account))
    if json:
        print_json({"command": "login", "broker": request.broker, "credential": name, "session": state})
    else:
        print(f"login at {request.broker} stored as {name!r} (encrypted); the session is {state}")


async def _application(request: LoginRequest, before: Credential) -> Credential:
    """The login's lasting half, with what was given now."""
    found = before
    if request.client_id is not None:
        if request.client_id != found.client_id:
            found = replace(found, pin="", totp_seed="")  # another person's
        found = replace(found, client_id=request.client_id)
    if request.secret_file is not None:
        found = replace(found, api_secret=_content(request.secret_file, option="--secret-file"))
    if request.totp_file is not None:
        found = with_numbers(found, _content(request.totp_file, option="--totp-file"))
    return found


def _check_scripted(request: LoginRequest) -> None:
    """Raises InvalidInput for a way the broker does not have, and for two ways at once."""
    totp, renew = request.totp or request.totp_file is not None, request.renew
    others = (request.answer_file, request.token_file, request.sandbox, request.callback_port)
    for option, given in (("--totp", totp), ("--renew", renew)):
        if given:
            check_scripted(request.broker, option=option)
            if (totp and renew) or any(one is not None for one in others):
                raise InvalidInput(f"{option}: is a login of its own; leave the other ways away")


async def _credential(request: LoginRequest, application: Credential, log: ExchangeLog) -> Credential:
    if request.sandbox is not None:
        async with SandboxAdmin(request.sandbox) as admin:
            token = await admin.log_in(request.account, request.broker)
        # Dhan's client id is the account itself: the one of a login kept before would belong to somebody else's token.
        kept = "" if request.broker == "dhan" else application.client_id
        return replace(
            application, client_id=request.client_id or kept or request.account, access_token=token,
            account=request.account,
        )  # fmt: skip
    if request.token_file is not None:
        return application.renewed(_content(request.token_file, option="--token-file"))
    broker = open_broker(
        request.broker, application if request.renew else replace(application, access_token=""),
        url=broker_url(request.broker, request.url),
        timers=wall_timers(), log=log,
    )  # fmt: skip
    name = request.name or request.broker
    try:
        if request.renew:
            return await renewed(broker, application, name=name)
        scripted = request.totp or request.totp_file is not None
        answer = numbers(application, name=name) if scripted else await _answer(request, broker)
        return application.renewed(await broker.session.complete_login(answer))
    finally:
        broker.close()


async def _answer(request: LoginRequest, broker: Broker) -> str:
    """What the browser was sent back with."""
    if request.answer_file is not None:
        return _content(request.answer_file, option="--answer-file")
    if request.callback_port is not None:
        return await _brought_back(request, broker)
    address = await _address(broker)
    if address is not None:
        say(f"Open in a browser and log in:\n  {address}")
    ask = "Then paste the address it was sent back to" if address is not None else "Paste the access token"
    return str(await asyncio.to_thread(typer.prompt, ask, hide_input=True, err=True)).strip()


async def _brought_back(request: LoginRequest, broker: Broker) -> str:
    """By a page on this machine. Raises InvalidInput where no browser comes, or there is no browser login."""
    assert request.callback_port is not None
    state = RandomIds().new_id()
    async with LoginCallback(request.broker, port=request.callback_port, state=state) as page:
        address = await _address(broker, redirect=page.url, state=state)
        if address is None:
            raise InvalidInput(f"--callback-port: {request.broker} has no login in a browser for this application")
        say(f"Open in a browser and log in (your app's redirect address is {page.url}):\n  {address}")
        return await page.answer(request.callback_seconds)


async def _address(broker: Broker, *, redirect: str = "", state: str = "") -> str | None:
    url = broker.session.login_url(redirect=redirect, state=state)
    consent = getattr(broker.session, "consent_url", None)  # Dhan makes an address for each login
    if url is None and consent is not None:
        try:
            return str(await consent())
        except TradebusError as error:
            say(f"no browser login ({error})")
    return url


async def _state(credential: Credential, url: str, log: ExchangeLog) -> tuple[SessionState, str]:
    """And whose it is, "" where nobody says."""
    broker = open_broker(credential.broker, credential, url=url, timers=wall_timers(), log=log)
    try:
        return await broker.session.check(), broker.session.account
    finally:
        broker.close()


def _content(path: Path, *, option: str) -> str:
    try:
        text = (sys.stdin.read() if str(path) == "-" else path.expanduser().read_text()).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise InvalidInput(f"{option} {path}: cannot be read ({reason})") from error
    if not text:
        raise InvalidInput(f"{option} {path}: is empty")
    return text
