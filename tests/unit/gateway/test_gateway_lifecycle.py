"""What commands do to sessions, decided without I/O."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.body import CommandAction
from services.gateway.domain.lifecycle import (
    ALIVE,
    TABLE,
    Create,
    LifecycleReport,
    LifecycleStep,
    Reject,
    decide_start,
    decide_step,
)  # fmt: skip
from tradebus.contracts.sessions import SessionSpec, SessionStatus, StrategySpec
from tradebus.trading.sessions import StoredSession

STEPS = (CommandAction.STOP, CommandAction.PAUSE, CommandAction.RESUME, CommandAction.FLATTEN)


def spec_of(capital_paise: int = 100) -> SessionSpec:
    return SessionSpec(
        session_id="",
        user_id="u",
        symbols=("NIFTY",),
        strategies=(StrategySpec(name="orb"),),
        capital_paise=capital_paise,
    )


def session_in(status: SessionStatus) -> StoredSession:
    return StoredSession("s-1", "u", status, spec_of().model_copy(update={"session_id": "s-1"}), 0)


def test_a_first_start_creates_a_session() -> None:
    assert decide_start(spec_of(), alive=None, killed_reason=None) == Create()


@pytest.mark.parametrize("status", ALIVE)
def test_the_same_start_again_reports_the_alive_session(status: SessionStatus) -> None:
    alive = session_in(status)
    assert decide_start(spec_of(), alive=alive, killed_reason=None) == LifecycleReport(alive)


def test_another_start_while_one_is_alive_is_refused_and_names_it() -> None:
    found = decide_start(spec_of(999), alive=session_in(SessionStatus.RUNNING), killed_reason=None)
    assert isinstance(found, Reject)
    assert "s-1" in found.errors[0].problem


def test_no_session_starts_while_the_kill_switch_is_engaged() -> None:
    found = decide_start(spec_of(), alive=None, killed_reason="by hand")
    assert isinstance(found, Reject)
    assert "by hand" in found.errors[0].problem


def test_every_pair_of_command_and_alive_status_has_a_row() -> None:
    assert set(TABLE) == {(action, status) for action in (*STEPS, CommandAction.SETTLE) for status in ALIVE}


@pytest.mark.parametrize("status", [SessionStatus.STARTING, SessionStatus.RUNNING, SessionStatus.PAUSED])
def test_stop_is_never_refused_to_a_session_that_is_alive(status: SessionStatus) -> None:
    found = decide_step(CommandAction.STOP, user_id="u", alive=session_in(status), latest=None)
    assert isinstance(found, LifecycleStep)
    assert found.status is SessionStatus.STOPPING


def test_stop_without_a_session_alive_reports_the_last_one() -> None:
    last = session_in(SessionStatus.STOPPED)
    assert decide_step(CommandAction.STOP, user_id="u", alive=None, latest=last) == LifecycleReport(last)


@pytest.mark.parametrize("action", STEPS)
def test_a_user_who_never_had_a_session_is_told_so(action: CommandAction) -> None:
    found = decide_step(action, user_id="u", alive=None, latest=None)
    assert isinstance(found, Reject)
    assert "user u" in found.errors[0].problem


@given(st.sampled_from(STEPS), st.sampled_from(ALIVE))
def test_a_command_repeated_moves_nothing_the_second_time(action: CommandAction, status: SessionStatus) -> None:
    first = decide_step(action, user_id="u", alive=session_in(status), latest=None)
    if isinstance(first, LifecycleStep) and first.status is not None:
        again = decide_step(action, user_id="u", alive=session_in(first.status), latest=None)
        assert isinstance(again, LifecycleReport)


def test_a_position_on_paper_is_not_settled() -> None:
    paper = session_in(SessionStatus.RUNNING)
    found = decide_step(CommandAction.SETTLE, user_id="123", alive=paper, latest=paper)
    assert isinstance(found, Reject)
    assert "tradebus flatten" in found.errors[0].problem
