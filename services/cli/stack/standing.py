"""What `tradebus up` does: the default stack, until it is interrupted."""

import asyncio
from dataclasses import dataclass

from services.cli.brokers.sandbox_admin import SandboxAdmin
from services.cli.output import say
from services.cli.place import Servers, servers_in_environment, state_dir
from services.cli.stack.assembly import Plan, Stack, open_stack, require_alone, require_free
from services.cli.stack.on_exit import OnExit, end_sessions
from tradebus.contracts.streams import COMMAND_CHANNEL

_EXAMPLE = (
    '{"action":"START_TRADING","user_id":"123","data":{"strategies":["orb"],"symbols":["BANKNIFTY"],"capital":2000000}}'
)
# Which tables and streams a feed has where nobody names others. Brokers share theirs: they bring one market, and a
# position taken on the prices of one is supervised on those of another.
GENERATED_NAMESPACE, LIVE_NAMESPACE, SANDBOX_NAMESPACE = "", "live", "sandbox"


@dataclass(frozen=True, slots=True)
class StandingOptions:
    """The options of `up`. `sandbox` is the admin address of a sandbox whose clock the market follows; `namespace` None
    means the feed's own."""

    port: int
    api_port: int
    symbols: str
    speed: str
    seed: int
    feed: str = "generated"
    sandbox: str | None = None
    namespace: str | None = None
    on_exit: OnExit = OnExit.STOP

    @property
    def chosen_namespace(self) -> str:
        if self.namespace is not None:
            return self.namespace
        if self.feed == "generated":
            return GENERATED_NAMESPACE
        return LIVE_NAMESPACE if self.sandbox is None else SANDBOX_NAMESPACE


async def run_up(options: StandingOptions) -> None:
    """Returns never; raises what execution or a user's mistake says at the start, or CancelledError where it is
    interrupted. A service that dies later is started again for as long as it takes."""
    require_alone("default")
    for option, wanted in (("--port", options.port), ("--api-port", options.api_port)):
        require_free(wanted, option=option)
    shared = {}
    if options.sandbox is not None:
        async with SandboxAdmin(options.sandbox) as admin:
            shared["TRADEBUS_MARKET_CLOCK"] = (await admin.market_clock()).text
    environment = {
        "TRADEBUS_FEED": options.feed, "TRADEBUS_SYMBOLS": options.symbols, "TRADEBUS_SPEED": options.speed,
        "TRADEBUS_SEED": str(options.seed),
    }  # fmt: skip
    plan = Plan(
        name="default", command="up", namespace=options.chosen_namespace, paced=False, feed=environment, shared=shared,
        own_state=False, gateway_port=options.port, api_port=options.api_port, standing=True,
    )  # fmt: skip
    async with open_stack(plan, keep=True) as stack:
        await stack.start_first()
        await stack.start_rest()
        say(welcome(stack, options.api_port))
        try:
            await stack.supervisor.while_healthy(asyncio.Event().wait())
        except asyncio.CancelledError:
            await end_sessions(stack.client, options.on_exit)
            raise


def welcome(stack: Stack, api_port: int) -> str:
    """Where everything is, and how to begin."""
    state = stack.state
    channel = f"{state.namespace}:{COMMAND_CHANNEL}" if state.namespace else COMMAND_CHANNEL
    return "\n".join([
        f"dashboard and API  {state.gateway_url}  (token: {state.token_file})",
        f"market data        http://127.0.0.1:{api_port}/v1",
        f"Postgres           {state.database_url}",
        f"Redis              {state.redis_url}",
        f"logs               {stack.run_dir}",
        "",
        "Start a session, in another terminal, one of:",
        "  tradebus start 123 --strategy orb --symbol BANKNIFTY --capital 2000000",
        f"  {redis_cli(stack.servers)} PUBLISH {channel} '{_EXAMPLE}'",
        f'  curl -H "Authorization: Bearer $(cat {state.token_file})" {state.gateway_url}/api/commands \\',
        f"    -d '{_EXAMPLE}'",
        "Watch it with `tradebus tail --follow`; Ctrl-C ends everything.",
    ])  # fmt: skip


def redis_cli(servers: Servers) -> str:
    """redis-cli with the address; an embedded server's password is read from its file, not shown."""
    if servers_in_environment() is not None:
        return 'redis-cli -u "$REDIS_URL"'
    reader = "import json,sys;print(json.load(open(sys.argv[1]))['redis_url'])"
    return f'redis-cli -u "$(python3 -c "{reader}" {state_dir() / "servers.json"})"'
