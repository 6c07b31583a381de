"""Every migration has a number of its own: two written at the same time are found before a database meets them."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "libs/tradebus/store/sql/migrations"


def test_every_migration_has_its_own_number_without_a_hole() -> None:
    numbers = sorted(int(path.name.split("_", 1)[0]) for path in FOLDER.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))
