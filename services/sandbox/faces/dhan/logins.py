"""Tokens, profile and addresses: auth.dhan.co's paths and the /v2 ones beside them.

Anybody may log in: the sandbox asks for a client id, a PIN and a TOTP, and believes them.
"""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, FaceExchange
from services.sandbox.faces.dhan.fields import Fields, is_number
from services.sandbox.faces.dhan.order_rows import Row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.ports import BrokerName, Exchange, Token
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import ist_date, ist_datetime

router = APIRouter()
_IP_FLAGS = {"PRIMARY": "primary", "SECONDARY": "secondary"}


class Consents:
    """Logins under way: consent id to client, then token id to client. Each is good once."""

    def __init__(self) -> None:
        self.by_consent: dict[str, str] = {}
        self.by_token_id: dict[str, str] = {}
        self.addresses: dict[str, Row] = {}
        self._made = 0

    def new_id(self, now_ns: int, account: str) -> str:
        self._made += 1
        return derive_id(now_ns, "dhan-consent", account, self._made)


@router.post("/app/generateAccessToken")
async def generate_token(request: Request, exchange: FaceExchange) -> Row:
    query = Fields(request.query_params)
    account, pin, totp = query.text("dhanClientId"), query.text("pin"), query.text("totp")
    if not (_digits(pin, least=4, most=8) and _digits(totp, least=6, most=6)):
        raise DhanProblem("DH-901", "pin must be four to eight digits, totp six")
    return _granted(exchange, exchange.login(BrokerName.DHAN, account))


@router.post("/app/generate-consent")
async def generate_consent(request: Request, exchange: FaceExchange) -> Row:
    account = Fields(request.query_params).text("client_id")
    if not (request.headers.get("app_id") and request.headers.get("app_secret")):
        raise DhanProblem("DH-901", "app_id and app_secret are required")
    consents: Consents = request.app.state.consents
    consent = consents.new_id(exchange.now_ns, account)
    consents.by_consent[consent] = account
    return {"consentAppId": consent, "consentAppStatus": "GENERATED", "status": "success"}


@router.get("/login/consentApp-login")
async def log_in_at_browser(request: Request, exchange: FaceExchange) -> Response:
    """Where the client's browser would ask for its credentials; here it goes on at once with `tokenId`."""
    consents: Consents = request.app.state.consents
    account = consents.by_consent.pop(Fields(request.query_params).text("consentAppId"), None)
    if account is None:
        raise DhanProblem("DH-901", "consentAppId is not known, or was used already")
    token_id = consents.new_id(exchange.now_ns, account)
    consents.by_token_id[token_id] = account
    return RedirectResponse(f"/login/done?tokenId={token_id}", status_code=302)


@router.get("/login/done")
async def logged_in(request: Request) -> Row:
    return {"tokenId": Fields(request.query_params).text("tokenId")}


@router.get("/app/consumeApp-consent")
@router.post("/app/consumeApp-consent")
async def consume_consent(request: Request, exchange: FaceExchange) -> Row:
    consents: Consents = request.app.state.consents
    account = consents.by_token_id.pop(Fields(request.query_params).text("tokenId"), None)
    if account is None:
        raise DhanProblem("DH-901", "tokenId is not known, or was used already")
    return _granted(exchange, exchange.login(BrokerName.DHAN, account))


@router.get("/v2/RenewToken")
@router.post("/v2/RenewToken")
async def renew(caller: AuthorisedCaller) -> Row:
    """A new token for one that still lives; the old one ends."""
    token = caller.exchange.login(BrokerName.DHAN, caller.account)
    if token.value != caller.token.value:
        caller.exchange.log_out(caller.token.value)
    return _granted(caller.exchange, token)


@router.get("/v2/profile")
async def profile(caller: AuthorisedCaller) -> Row:
    return {
        "dhanClientId": caller.account,
        "tokenValidity": f"{ist_datetime(caller.token.expires_ns):%d/%m/%Y %H:%M}",
        "activeSegment": "Equity, Derivative, Currency, Commodity",
        "ddpi": "Active",
        "mtf": "Active",
        "dataPlan": "Active",
        "dataValidity": f"{ist_datetime(caller.token.expires_ns):%Y-%m-%d %H:%M:%S}.0",
    }


@router.post("/v2/ip/setIP")
@router.put("/v2/ip/modifyIP")
async def set_address(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    """Remembered, not enforced: whoever reaches the sandbox may use it."""
    flag, address = body.word("ipFlag", _IP_FLAGS), body.text("ip")
    held = _addresses(request, caller)
    held[f"{flag}IP"], held[f"modifyDate{flag.capitalize()}"] = address, ist_date(caller.exchange.now_ns).isoformat()
    return {"message": "IP saved successfully", "status": "SUCCESS"}


@router.get("/v2/ip/getIP")
async def addresses(request: Request, caller: AuthorisedCaller) -> Row:
    return _addresses(request, caller)


def _addresses(request: Request, caller: Caller) -> Row:
    consents: Consents = request.app.state.consents
    none = {"modifyDateSecondary": None, "secondaryIP": None, "modifyDatePrimary": None, "primaryIP": None}
    return consents.addresses.setdefault(caller.account, dict(none))


def _granted(exchange: Exchange, token: Token) -> Row:
    return {
        "dhanClientId": token.account,
        "dhanClientName": "SANDBOX CLIENT",
        "dhanClientUcc": f"SBX{token.account[-6:]}",
        "givenPowerOfAttorney": False,
        "accessToken": token.value,
        "expiryTime": f"{ist_datetime(token.expires_ns):%Y-%m-%dT%H:%M:%S}.000",
    }


def _digits(text: str, *, least: int, most: int) -> bool:
    return least <= len(text) <= most and is_number(text)
