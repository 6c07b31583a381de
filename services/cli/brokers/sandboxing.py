"""What `tradebus sandbox` does: the exchange in this process, its addresses on stdout."""

import asyncio
from typing import Any

from pydantic import ValidationError

from services.cli.brokers.sandbox_process import ADMIN, FACES
from services.cli.output import print_json, say
from services.sandbox.assembly import run_until
from services.sandbox.bootstrap import make_sandbox
from services.sandbox.settings import SandboxSettings
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime

_FACES = ("kite", "dhan", "upstox")


async def run_sandbox(given: dict[str, Any], *, json: bool) -> None:
    """Runs until it is cancelled. Raises InvalidInput for a bad option, Unavailable for a port that is taken."""
    try:
        settings = SandboxSettings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{name if name.isupper() else f'--{name}'}: {first['msg']}") from None
    box = make_sandbox(settings)
    urls = {name: f"http://{settings.host}:{port}" for name, port in box.ports.items()}
    moment = ist_datetime(box.exchange.now_ns)
    if json:
        print_json({
            "command": "sandbox", "urls": urls, "indian_time": moment.isoformat(), "speed": settings.speed,
            "instruments": len(box.exchange.instruments),
        })  # fmt: skip
    else:
        for name in (*FACES, ADMIN):
            print(f"{name:<8} {urls[name]}", flush=True)
        count, when = len(box.exchange.instruments), moment.strftime("%Y-%m-%d %H:%M")
        print(f"{count:,} instruments, {when} Indian time, {settings.speed:g} times the clock\n")
        at = f"--sandbox {urls['admin']} --account AB1234 --url {urls['kite']}"
        print(f"Log in:   tradebus login --broker kite {at}")
        print(f"Look:     tradebus quote NIFTY --broker kite --url {urls['kite']}", flush=True)
    say("Ctrl-C ends it")
    await run_until(box, asyncio.Event())
