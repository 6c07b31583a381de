"""What a user's code raises and what it says of itself, in words that cannot raise again.

Whatever it raises counts as its error, an exception that derives from BaseException alone too: only KeyboardInterrupt
is the person's at the keyboard.
"""

import traceback
from collections.abc import Callable
from typing import Any, Final

_CHARACTERS_MAX: Final = 500


def in_words(value: Any, words: Callable[[Any], str] = repr) -> str:
    """What a user's code gave, in words, bounded; its type where it cannot be said."""
    try:
        return clean_text(plain_text(words(value))[:_CHARACTERS_MAX])
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 -- the words are the user's code, and an int may have too many digits
        return f"a {type(value).__name__} that cannot be said"


def clean_text(text: str) -> str:
    """A text as Postgres and every log take it: no NUL, no half of a surrogate pair."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def plain_text(text: str) -> str:
    """The characters of a text, without what a class of its own makes of it."""
    return text if type(text) is str else str.__str__(text)


def error_text(error: BaseException) -> str:
    """Its type and words, in one line."""
    return f"{type(error).__name__}: {' '.join(in_words(error, str).split())}"


def trace_of(error: BaseException) -> str:
    """Its traceback; where that cannot be made in full, the places and `error_text`."""
    try:
        return clean_text("".join(traceback.format_exception(error)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 -- notes, causes and words are the user's code
        places = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{places}{error_text(error)}\n"
