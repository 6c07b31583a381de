"""/killswitch and /pnlExit."""

from dataclasses import dataclass

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body
from services.sandbox.faces.dhan.fields import Fields, rupees
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.watching import QuoteWatcher
from services.sandbox.ports import BrokerName, Exchange

router = APIRouter()
_SWITCH = {"ACTIVATE": True, "DEACTIVATE": False}


@router.post("/killswitch")
async def switch(request: Request, caller: AuthorisedCaller) -> Row:
    engaged = Fields(request.query_params).word("killSwitchStatus", _SWITCH)
    caller.exchange.set_kill_switch(caller.account, engaged=engaged)
    done = "activated" if engaged else "deactivated"
    return {"dhanClientId": caller.account, "killSwitchStatus": f"Kill Switch has been successfully {done}"}


@router.get("/killswitch")
async def switch_status(caller: AuthorisedCaller) -> Row:
    word = "ACTIVATE" if caller.exchange.kill_switch(caller.account) else "DEACTIVATE"
    return {"dhanClientId": caller.account, "killSwitchStatus": word}


@dataclass(frozen=True, slots=True)
class PnlExit:
    """Leave everything when the day's profit or loss reaches an amount, in paise; 0 does not watch that side."""

    profit_paise: int
    loss_paise: int
    products: tuple[str, ...]
    kill: bool


class PnlExits:
    """One rule an account."""

    def __init__(self, exchange: Exchange, watcher: QuoteWatcher) -> None:
        self._exchange, self._watcher = exchange, watcher
        self.rules: dict[str, PnlExit] = {}

    def set(self, account: str, rule: PnlExit) -> None:
        self.rules[account] = rule
        self._watcher.add(_name(account), lambda: self._look(account))

    def stop(self, account: str) -> None:
        self.rules.pop(account, None)
        self._watcher.remove(_name(account))

    def _look(self, account: str) -> bool:
        rule = self.rules.get(account)
        if rule is None:
            return False
        margins = self._exchange.margins(account)
        gain = margins.realised_paise + margins.unrealised_paise
        if not ((rule.profit_paise and gain >= rule.profit_paise) or (rule.loss_paise and -gain >= rule.loss_paise)):
            return True
        del self.rules[account]
        self._exchange.exit_all(account, BrokerName.DHAN)
        if rule.kill:
            self._exchange.set_kill_switch(account, engaged=True)
        return False


@router.post("/pnlExit")
async def set_pnl_exit(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    exits: PnlExits = request.app.state.pnl_exits
    rule = PnlExit(
        body.paise("profitValue"), body.paise("lossValue"), tuple(map(str, body.items("productType"))),
        body.flag("enableKillSwitch"),
    )  # fmt: skip
    if not rule.profit_paise and not rule.loss_paise:
        raise DhanProblem("DH-905", "profitValue or lossValue must be more than 0")
    exits.set(caller.account, rule)
    return {"pnlExitStatus": "ACTIVE", "message": "P&L based exit configured successfully"}


@router.get("/pnlExit")
async def pnl_exit(request: Request, caller: AuthorisedCaller) -> Row:
    exits: PnlExits = request.app.state.pnl_exits
    rule = exits.rules.get(caller.account) or PnlExit(0, 0, (), kill=False)
    return {
        "pnlExitStatus": "ACTIVE" if caller.account in exits.rules else "DISABLED",
        "profit": f"{rupees(rule.profit_paise):.2f}",
        "loss": f"{rupees(rule.loss_paise):.2f}",
        "productType": list(rule.products),
        "enable_kill_switch": rule.kill,
    }


@router.delete("/pnlExit")
async def stop_pnl_exit(request: Request, caller: AuthorisedCaller) -> Row:
    exits: PnlExits = request.app.state.pnl_exits
    exits.stop(caller.account)
    return {"pnlExitStatus": "DISABLED", "message": "P&L based exit stopped successfully"}


def _name(account: str) -> str:
    return f"pnl exit {account}"
