"""`tradebus migrate`: the database's schema, made or brought up to date."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    namespace: Annotated[
        str,
        typer.Option(envvar="TRADEBUS_NAMESPACE", help="Which schema: empty is `tradebus`, demo is `tradebus_demo`."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")] = False,
) -> None:
    """Make the schema in Postgres, or bring it up to date. Services refuse to start without.

    Works on DATABASE_URL, else on the embedded server. Repeating it changes nothing.

    Examples:

    DATABASE_URL=postgresql://trader@db:5432/trading tradebus migrate

    tradebus migrate --namespace paper2
    """
    from services.cli.output import print_json
    from services.cli.place import open_database
    from tradebus.config.settings import without_password
    from tradebus.store.migrate import migrate as bring_up_to_date
    from tradebus.store.namespaces import schema_name

    with open_database() as database_url:
        applied = bring_up_to_date(database_url, namespace=namespace)
        where = without_password(database_url)
    if json:
        print_json({"command": "migrate", "database": where, "schema": schema_name(namespace), "applied": applied})
        return
    for name in applied:
        print(f"applied {name}")
    print(f"{where}, schema {schema_name(namespace)}: {'brought up to date' if applied else 'nothing to do'}")
