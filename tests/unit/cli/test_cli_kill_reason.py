"""`tradebus kill` on the channel: whoever hears it first engages the switch for the reason that the person gave."""

from hypothesis import given
from hypothesis import strategies as st

from services.cli.killing.switch import kill_said
from services.gateway.domain.body import CommandAction, ExternalCommand, read_command
from services.gateway.domain.problems import Problems
from services.gateway.domain.step_fields import step_fields

_REASONS = st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=200).filter(
    lambda text: text.isprintable() and bool(text.strip())
)


@given(_REASONS)
def test_the_gateway_reads_the_reason_that_was_given(reason: str) -> None:
    command = read_command(kill_said(reason))
    assert isinstance(command, ExternalCommand)
    assert command.action is CommandAction.KILL
    problems = Problems()
    assert step_fields(command.action, command.data, problems) == {"reason": reason}
    assert not problems
