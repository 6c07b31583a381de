"""When nobody could act: how long what one instance leaves is excused."""

from services.cli.drill.running.excuses import AWAY, NOBODY, excuses

SECOND = 1_000_000_000
END = 200 * SECOND


def spans(down: dict[str, list[list[int]]], away: list[list[int]] | None = None) -> list[tuple[float, float, str]]:
    """In seconds."""
    given = {name: [[at * SECOND for at in one] for one in found] for name, found in down.items()}
    found = excuses(down_ns=given, away_ns=[[at * SECOND for at in one] for one in away or []], end_ns=END)
    return [(from_ns / SECOND, to_ns / SECOND, why) for from_ns, to_ns, why in found]


def test_a_lone_instance_is_excused_until_it_runs_again_and_has_read_its_book() -> None:
    assert spans({"a": [[10, 60]]}) == [(10, 61, NOBODY)]
    assert spans({"a": [[10]]}) == [(10, 201, NOBODY)], "never"


def test_what_an_instance_leaves_is_excused_until_another_may_take_it() -> None:
    assert spans({"a": [[10, 60]], "b": []}) == [(10, 28, NOBODY)]
    assert spans({"a": [[10, 12]], "b": []}) == [(10, 13, NOBODY)], "it is back before"


def test_where_the_other_stands_still_too_it_is_excused_until_one_of_them_runs() -> None:
    assert spans({"a": [[10, 60]], "b": [[11, 50]]}) == [(10, 51, NOBODY), (11, 51, NOBODY)]
    assert spans({"a": [[10, 90]], "b": [[11, 15], [26, 40], [40, 44]]})[0] == (10, 45, NOBODY)


def test_a_server_is_excused_for_as_long_as_it_is_away() -> None:
    assert spans({"a": []}, [[5, 9], [150]]) == [(5, 10, AWAY), (150, 201, AWAY)]
