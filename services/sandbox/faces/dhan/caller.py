"""Who asks, and the exchange he asks: what every endpoint of this face starts from."""

import json
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.sandbox.faces.dhan.fields import Fields, is_number
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import OTHER_SEGMENTS, SEGMENT_BY_WORD
from services.sandbox.ports import BrokerName, Exchange, SandboxInstrument, Token, TokenProblem

_REFUSED_LOGIN = "Client ID or user generated access token is invalid or expired."


@dataclass(frozen=True, slots=True)
class Caller:
    """One authorised request's view. `account` is the dhanClientId."""

    exchange: Exchange
    account: str
    token: Token


def exchange_of(request: Request) -> Exchange:
    """The exchange behind the application."""
    exchange: Exchange = request.app.state.exchange
    return exchange


def authorised(request: Request) -> Caller:
    """Raises DhanProblem DH-901 without a live token, or where the client id named is not the token's."""
    exchange = exchange_of(request)
    token = exchange.authorise(BrokerName.DHAN, request.headers.get("access-token"))
    if isinstance(token, TokenProblem):
        raise DhanProblem("DH-901", f"{_REFUSED_LOGIN} ({token.value.lower()})")
    named = request.headers.get("client-id") or request.headers.get("dhanClientId")
    if named is not None and named != token.account:
        raise DhanProblem("DH-901", f"{_REFUSED_LOGIN} (client-id is not the token's)")
    return Caller(exchange, token.account, token)


async def body_of(request: Request) -> Fields:
    """The JSON body. Raises DhanProblem DH-905 where there is none."""
    try:
        return Fields(json.loads(await request.body()))
    except (ValueError, RecursionError):
        raise DhanProblem("DH-905", "the body is not JSON") from None


AuthorisedCaller = Annotated[Caller, Depends(authorised)]
Body = Annotated[Fields, Depends(body_of)]
FaceExchange = Annotated[Exchange, Depends(exchange_of)]


def named_instrument(
    exchange: Exchange, fields: Fields, *, security: str = "securityId", segment: str = "exchangeSegment"
) -> SandboxInstrument:
    """The instrument two fields name. Raises DhanProblem DH-905."""
    word, number = fields.text(segment), fields.text(security)
    found = find(exchange, word, number)
    if found is None:
        raise DhanProblem("DH-905", f"{security} {number[:20]!r} is not listed in {word[:20]!r}")
    return found


def find(exchange: Exchange, word: str, number: object) -> SandboxInstrument | None:
    """By Dhan's segment word and security id; None where nothing is listed. Raises DhanProblem for another word."""
    if word in OTHER_SEGMENTS:
        return None
    if word not in SEGMENT_BY_WORD:
        raise DhanProblem("DH-905", f"exchangeSegment {word[:40]!r} is none of {', '.join(SEGMENT_BY_WORD)}")
    digits = str(number)
    if not is_number(digits):
        return None
    return exchange.by_exchange_token(SEGMENT_BY_WORD[word], int(digits))
