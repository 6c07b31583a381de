"""What one ticker connection wants: `{"a": "subscribe" | "unsubscribe" | "mode", "v": …}` by instrument token."""

import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from services.sandbox.faces.kite import frames
from services.sandbox.ports import Exchange

INSTRUMENTS_MAX = 3000
_MODES = {"ltp": frames.PRICE, "quote": frames.QUOTE, "full": frames.FULL}
Indexes = npt.NDArray[np.int64]
_NOTHING: Indexes = np.zeros(0, np.int64)


class BadMessage(Exception):
    """A text that asks for nothing we know; the connection stays open and is told."""


class Subscriptions:
    """`modes` is [instruments]; an instrument that is not wanted has NONE there."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.modes: npt.NDArray[np.uint8] = np.zeros(len(exchange.instruments), np.uint8)

    def apply(self, text: str) -> Indexes:
        """Does what the text asks; returns the instruments whose state is to be sent now. Raises BadMessage.

        Subscribing to what is subscribed changes no mode. Tokens nobody knows are ignored, as at Kite.
        """
        action, value = self._parsed(text)
        if action == "mode":
            mode, tokens = self._mode_and_tokens(value)
            return self._set(self._known(tokens), lambda _current: np.full(len(_current), mode, np.uint8))
        indexes = self._known(value)
        if action == "subscribe":
            return self._set(indexes, lambda current: np.where(current == frames.NONE, frames.QUOTE, current))
        self.modes[indexes] = frames.NONE
        return _NOTHING

    def extend(self, instruments: int) -> None:
        """More instruments are listed than before (a new day)."""
        if instruments > len(self.modes):
            self.modes = np.concatenate((self.modes, np.zeros(instruments - len(self.modes), np.uint8)))

    def _parsed(self, text: str) -> tuple[str, object]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise BadMessage("Invalid message: not JSON") from None
        action = message.get("a") if isinstance(message, dict) else None
        if action not in ("subscribe", "unsubscribe", "mode"):
            raise BadMessage("Invalid action: subscribe, unsubscribe or mode is needed")
        return action, message.get("v")

    def _mode_and_tokens(self, value: object) -> tuple[int, object]:
        word, tokens = value if isinstance(value, list) and len(value) == 2 else (None, None)
        if not isinstance(word, str) or word not in _MODES:
            raise BadMessage(f"Invalid mode: one of {', '.join(_MODES)} and a list of tokens is needed")
        return _MODES[word], tokens

    def _known(self, tokens: object) -> Indexes:
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise BadMessage("Invalid tokens: a list of instrument tokens is needed")
        self.extend(len(self._exchange.instruments))
        found = (self._exchange.by_kite_token(token) for token in tokens)
        return np.array([instrument.index for instrument in found if instrument is not None], np.int64)

    def _set(self, indexes: Indexes, choose: "Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]") -> Indexes:
        modes = self.modes.copy()
        modes[indexes] = choose(modes[indexes])
        if np.count_nonzero(modes) > INSTRUMENTS_MAX:
            raise BadMessage(f"Too many instruments: at most {INSTRUMENTS_MAX} on one connection")
        self.modes = modes
        return np.unique(indexes)
