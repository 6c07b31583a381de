"""`tradebus limits`: how far a session is from its limits, and what was changed of them."""

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.cli.output import print_json, run_async
from services.cli.place import find_gateway
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees, rupees_to_paise

_NONE = "none"


def change_data(
    limits: Mapping[str, Any], *, strategy: str | None, by: str | None, reason: str | None, widen: bool,
    scope: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The data of SET_LIMITS, with a scope of SET_SHARED_LIMITS. Raises InvalidInput without a reason."""
    if reason is None:
        raise InvalidInput("--reason: say why the limits are changed; it is kept with the change")
    data: dict[str, Any] = {
        "limits": {name: None if value == _NONE else value for name, value in limits.items()},
        "by": by or getpass.getuser(),
        "reason": reason,
        "widen": widen,
    }
    given = {"strategy": strategy, "scope": scope}
    return data | {name: value for name, value in given.items() if value is not None}


def check_whose(user: str | None, *, scope: str | None) -> None:
    """Raises InvalidInput unless one of the two is given."""
    if (user is None) is (scope is None):
        raise InvalidInput('USER or --scope: say whose limits, a user\'s session or all, or "account NAME"')


def show_shared(scope: str, *, stack: str | None, url: str | None, token_file: Path | None, json: bool) -> None:
    """Every change of what several sessions share. What is used of it stands with each of the sessions."""

    async def read() -> list[dict[str, Any]]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            found = (await client.get("/api/shared_limits"))["shared_limits"]
            return [one for one in found if one["scope"] == scope]

    changes = run_async(read())
    if json:
        print_json({"command": "limits", "scope": scope, "changes": changes})
        return
    print(f"{scope}: " + (f"{len(changes)} changes" if changes else "nothing was changed"))
    for line in limit_lines({"limits": [], "changes": changes}):
        print(f"  {line}")


def show_limits(user: str, *, stack: str | None, url: str | None, token_file: Path | None, json: bool) -> None:
    """What is used of each limit, and every change. Raises InvalidInput where no session of the user is measured."""

    async def read() -> dict[str, Any]:
        async with find_gateway(stack, url=url, token_file=token_file) as client:
            found = await client.get("/api/headroom", user_id=user)
            if not found["headroom"]:
                raise InvalidInput(f"no session of user {user} is alive, or risk has not measured it yet")
            session = found["headroom"][0]
            changes = await client.get("/api/limits", session_id=session["session_id"])
            return {**session, "changes": changes["limits"]}

    found = run_async(read())
    if json:
        print_json({"command": "limits", **found})
        return
    print(f"session {found['session_id']} of user {user}" + (f", at {found['as_of']}" if found["as_of"] else ""))
    for line in limit_lines(found):
        print(f"  {line}")


def limit_lines(found: Mapping[str, Any]) -> list[str]:
    """A line per limit, the one that is used most first, then a line per change, the newest first."""
    rooms = sorted(found["limits"], key=lambda one: -one["share"])
    names = [f"{one['limit']} ({one['scope']})" for one in rooms]
    width = max(map(len, names), default=0)
    lines = [
        f"{name.ljust(width)}  {one['share']:>4.0%}  {_said(one, 'used')} of {_said(one, 'most')}, "
        f"{_said(one, 'left')} left"
        for name, one in zip(names, rooms, strict=True)
    ]
    for one in found["changes"]:
        of = f" of {one['strategy']}" if one["strategy"] else ""
        wider = ", wider" if one["widens"] else ""
        lines.append(
            f"{one['changed_at']}  {one['changed_by']}: {one['field']}{of} from {_value(one['before'])} to "
            f"{_value(one['after'])}{wider}: {one['reason']}"
        )
    return lines


def _said(one: Mapping[str, Any], name: str) -> str:
    if one["unit"] == "rupees":
        return format_rupees(rupees_to_paise(str(one[name]), name=name))
    return str(one[name])


def _value(value: Any) -> str:
    return _NONE if value is None else str(value)
