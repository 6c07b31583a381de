"""What execution needs beside the order gateway."""

from typing import Protocol


class Follower(Protocol):
    """A gateway that must be told to go on with orders of an earlier life (the paper broker)."""

    async def follow(self, account: str, tag: str) -> None:
        """Goes on with the account's order of this tag, where it has not ended."""
