"""The chain of an account's rows: each hash is over the hash before it and every field of its own row.

    genesis(account) ─► row 1 ─► row 2 ─► … ─► head        head = (seq, hash), published outside the table

Invariants (tested, byte by byte): whatever is altered, removed, put between or put in front, `ChainCheck` names the
first row that does not fit; what is cut off at the end is found by a head that was published before.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from tradebus.audit.exchange import BrokerExchange

HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last row of an account's chain: `seq` 0 where there is none yet."""

    account: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row as the book has it. The first of an account has `seq` 1."""

    seq: int
    previous_hash: str
    exchange: BrokerExchange
    hash: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first row of an account that does not fit."""

    account: str
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.account} row {self.seq}: {self.what}"


def genesis(account: str) -> ChainHead:
    """What the first row of an account follows."""
    return ChainHead(account, 0, hashlib.sha256(f"tradebus audit {account}".encode()).hexdigest())


def row_hash(seq: int, previous_hash: str, exchange: BrokerExchange) -> str:
    """SHA-256, as hex, over the canonical form: a JSON array of seq, previous hash and the fields in their order."""
    canonical = json.dumps([seq, previous_hash, *astuple(exchange)], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def linked(head: ChainHead, exchanges: Iterable[BrokerExchange]) -> list[AuditRow]:
    """The rows that go on from `head`, in this order."""
    rows: list[AuditRow] = []
    seq, previous = head.seq, head.hash
    for exchange in exchanges:
        seq += 1
        digest = row_hash(seq, previous, exchange)
        rows.append(AuditRow(seq, previous, exchange, digest))
        previous = digest
    return rows


class ChainCheck:
    """Fed an account's rows in the order of their seq; `published` are heads that were seen before."""

    def __init__(self, account: str, published: Sequence[ChainHead] = ()) -> None:
        self._published = {head.seq: head.hash for head in published if head.account == account and head.seq}
        self._head = genesis(account)
        self.fault: Misfit | None = None

    @property
    def head(self) -> ChainHead:
        """The last row that fits."""
        return self._head

    def feed(self, row: AuditRow) -> None:
        """Looks at the next row; nothing more once one did not fit."""
        if self.fault is None:
            what = self._wrong_with(row)
            if what:
                self.fault = Misfit(self._head.account, min(row.seq, self._head.seq + 1), what)
            else:
                self._head = ChainHead(self._head.account, row.seq, row.hash)

    def ended(self) -> Misfit | None:
        """What did not fit, now that the last row was fed: rows that a published head has seen and are gone too."""
        last = max(self._published, default=0)
        if self.fault is None and last > self._head.seq:
            missing = self._head.seq + 1
            what = f"is gone, and all after it: row {last} was there when its head was published"
            self.fault = Misfit(self._head.account, missing, what)
        return self.fault

    def _wrong_with(self, row: AuditRow) -> str:
        head = self._head
        if row.exchange.account != head.account:
            return f"is in the chain of another account ({row.exchange.account!r})"
        if row.seq != head.seq + 1:
            return "is gone" if row.seq > head.seq + 1 else "is there twice, or out of order"
        if row.hash != row_hash(row.seq, row.previous_hash, row.exchange):
            return "was altered: its hash is not that of what it says"
        if row.previous_hash != head.hash:
            return "does not follow the row before it: one of them was replaced"
        if self._published.get(row.seq, row.hash) != row.hash:
            return "is another one than when its head was published: the chain was written anew"
        return ""
