"""KILL: everything of every session is closed, and no session keeps the others open. And what sessions share ends them
together: a loss of the day, the day's last moment."""

from collections.abc import Awaitable, Callable, Mapping

import structlog

from services.risk.kill_switch import KillSwitchState
from services.risk.market.surroundings import Surroundings
from services.risk.messages import command_of
from services.risk.sessions import RiskSessions
from tradebus.contracts.commands import Kill
from tradebus.kernel.errors import InvalidInput
from tradebus.risk.step import RiskStep, on_command, on_shared_end, on_shared_loss
from tradebus.risk.verdicts import Cause
from tradebus.runtime.patience import PASSING

_log = structlog.get_logger()


class Closing:
    """`recover` takes up what the book holds, after a transaction that failed."""

    def __init__(
        self, sessions: RiskSessions, surroundings: Surroundings, kill_switch: KillSwitchState,
        *, recover: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._sessions, self._surroundings, self._kill_switch = sessions, surroundings, kill_switch
        self._recover = recover

    async def obey(self, command: Kill) -> None:
        """Raises InvalidInput, after everything else is closed, where a session could not be: the command is put aside
        then, which people are told."""
        left = await self.close_all(command)
        if left:
            raise InvalidInput(
                f"KILL is engaged, but session {', '.join(left)} could not be closed (see risk's log): "
                "close their positions at the broker"
            )

    async def close_all(self, command: Kill) -> list[str]:
        """Engages the switch and closes everything of every session, in one transaction; where one session spoils
        that, each in its own. The sessions that could not be closed, those included whose row cannot be read."""
        steps, left = self._steps(command)
        try:
            stands = await self._engage(command, steps)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - no session keeps the others open
            _log.error("KILL: not all sessions at once, trying one by one", exc_info=error)
            await self._recover()
            steps, left = self._steps(command)
            for name, step in steps.items():
                try:
                    await self._sessions.save(f"{command.event_id}:{name}", {name: step})
                except PASSING:
                    raise
                except Exception as spoilt:  # noqa: BLE001
                    _log.error("KILL: a session could not be closed", session_id=name, exc_info=spoilt)
                    left.append(name)
            stands = await self._engage(command, {})
        self._kill_switch.command(engaged=stands)
        return sorted({*left, *self._sessions.unreadable})

    async def judge_shared(self) -> None:
        """Halts every session of an account, or of all, that together have lost what they may."""
        shared, now_ns = self._surroundings.shared, self._surroundings.market.data_ns
        if not shared.is_set or any(one.is_behind for one in self._sessions.alive.values()):
            return
        for lost in shared.lost(now_ns=now_ns):
            _log.warning("a limit over several sessions is reached", sessions=lost.session_ids, detail=lost.detail)
            steps = {
                name: on_shared_loss(self._sessions.alive[name].state.at(now_ns), lost.rule, lost.detail, Cause(now_ns))
                for name in lost.session_ids
            }
            await self._sessions.save(f"shared:{lost.name}:{now_ns}:{'+'.join(sorted(steps))}", steps)
        await self._end(dict.fromkeys(self._sessions.alive, now_ns) if shared.has_end else {})

    async def end_by_the_clock(self) -> None:
        """Closes what is past the hard end of what its session shares. Not for a paced run."""
        if self._surroundings.shared.has_end:
            alive = self._sessions.alive.items()
            now = {name: self._surroundings.market.now_ns(is_live=one.has_live_feed) for name, one in alive}
            await self._end({name: now_ns for name, now_ns in now.items() if now_ns is not None})

    async def _end(self, now_of: Mapping[str, int]) -> None:
        for name, now_ns in now_of.items():
            scope = self._surroundings.shared.ended_scope(name, now_ns=now_ns)
            if scope is not None:
                _log.warning("the hard end over several sessions has come", session_id=name, scope=scope)
                step = on_shared_end(self._sessions.alive[name].state.at(now_ns), Cause(now_ns))
                await self._sessions.save(f"shared end:{scope}:{name}:{now_ns}", {name: step})

    async def _engage(self, command: Kill, steps: Mapping[str, RiskStep]) -> bool:
        """The switch, and with it what these steps say."""
        return await self._sessions.save_kill(
            command.event_id, steps, reason=command.reason, changed_ns=command.ts_event_ns
        )

    def _steps(self, command: Kill) -> tuple[dict[str, RiskStep], list[str]]:
        """The steps by session, and the sessions of which none could be decided."""
        steps: dict[str, RiskStep] = {}
        undecided = []
        for name, session in self._sessions.alive.items():
            try:
                steps[name] = on_command(session.state, command_of(command), self._surroundings.of(session.terms))
            except Exception as error:  # noqa: BLE001 - no session keeps the others open
                _log.error("KILL: a session could not be closed", session_id=name, exc_info=error)
                undecided.append(name)
        return steps, undecided
