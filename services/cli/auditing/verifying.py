"""`tradebus audit verify`: every chain from its first row, against the heads that were published."""

from collections.abc import Sequence

from services.cli.auditing.opening import OpenAudit, opened_audit
from services.cli.output import print_json
from tradebus.audit.chain import HASH_LENGTH, ChainCheck, ChainHead
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.runtime.auditing import published_heads

_PAGE = 2_000


class AuditBroken(TradebusError):
    """A row of the audit does not fit."""


async def run_verify(
    *, account: str | None, heads: Sequence[str], stack: str | None, namespace: str | None, json: bool
) -> None:
    """Prints every chain's head. Raises AuditBroken with the first row of each chain that does not fit, InvalidInput
    for a head that is none."""
    given = [parse_head(text) for text in heads]
    async with opened_audit(stack=stack, namespace=namespace) as audit:
        published = [*published_heads(audit.folder), *given]
        accounts = {head.account for head in (*await audit.book.heads(), *published)}
        if account is not None and account not in accounts:
            known = ", ".join(sorted(accounts)) or "none"
            raise InvalidInput(f"--account {account}: nothing is in the audit of it; there are {known}")
        checks = [
            await _checked(audit, name, published) for name in sorted(accounts) if account in (None, name)
        ]  # fmt: skip
    broken = [str(check.fault) for check in checks if check.fault is not None]
    if json:
        print_json(
            {
                "command": "audit verify", "sound": not broken, "faults": broken,
                "heads": [f"{check.head.account}:{check.head.seq}:{check.head.hash}" for check in checks],
            }
        )  # fmt: skip
    else:
        for check in checks:
            print(f"{check.head.account}: {check.head.seq} rows fit, head {check.head.hash}")
    if broken:
        raise AuditBroken("the audit does not fit: " + "; ".join(broken))


def parse_head(text: str) -> ChainHead:
    """BROKER:LOGIN:SEQ:HASH, as `verify --json` prints it. Raises InvalidInput."""
    account, _, rest = text.rpartition(":")
    account, _, seq = account.rpartition(":")
    if not account or not seq.isdecimal() or len(rest) != HASH_LENGTH or set(rest) - set("0123456789abcdef"):
        raise InvalidInput(f"--head {text[:100]!r}: write it as `tradebus audit verify --json` does, ACCOUNT:ROW:HASH")
    return ChainHead(account, int(seq), rest)


async def _checked(audit: OpenAudit, account: str, published: Sequence[ChainHead]) -> ChainCheck:
    check, after = ChainCheck(account, published), -1
    while check.fault is None:
        rows = await audit.book.rows(account, after_seq=after, limit=_PAGE)
        for row in rows:
            check.feed(row)
        if len(rows) < _PAGE:
            check.ended()
            break
        after = rows[-1].seq
    return check
