"""`darkroom webhook`: where the provider tells that generations have ended."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from uuid import UUID

    from worker.accounts.webhooks import Endpoint
    from worker.core.db.session import Database
    from worker.provider.client import Client
    from worker.provider.webhooks import Verifier

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the provider's.")]
_VERIFIERS = "Schemes of signatures, tried in this order: standard, stripe, none."


def add(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The public address of `darkroom web`'s /webhooks/provider.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What the provider calls it.")] = "darkroom",
    verifiers: Annotated[str, typer.Option("--verifiers", metavar="LIST", help=_VERIFIERS)] = "standard,stripe,none",
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Register an endpoint with the provider, below URL at a secret path that is shown once."""
    from worker.accounts import webhooks

    schemes = _schemes(verifiers)
    database, client, account_id = _open()
    author = signing.author(by, reason)
    added = webhooks.add(database, client, account_id, author, address=url, name=name, verifiers=schemes)
    if as_json:
        output.print_json({"webhook": str(added.id), "provider_id": added.provider_id, "url": added.url})
        return
    output.answers().print(f"webhook {added.id}, {added.provider_id} at the provider", markup=False)
    output.answers().print(added.url, markup=False, soft_wrap=True)


def list_(as_json: output.AsJson = False) -> None:
    """List the endpoints, here and at the provider, with what came to them."""
    from worker.accounts import webhooks

    database, client, account_id = _open()
    found = webhooks.listed(database, client, account_id)
    if as_json:
        output.print_json([_as_json(each) for each in found])
        return
    table = output.table(
        "webhook", "address", "at the provider", "verifiers", "last received", "outcomes",
        whole=("webhook",), details=("verifiers", "last received", "outcomes"),
    )  # fmt: skip
    for each in found:
        table.add_row(*_row(each))
    output.answers().print(table)


def request_test(endpoint: Id, as_json: output.AsJson = False) -> None:
    """Have the provider send a test event to an endpoint."""
    from worker.accounts import webhooks

    database, client, account_id = _open()
    webhooks.request_test(database, client, account_id, endpoint)
    if as_json:
        output.print_json({"webhook": endpoint, "requested": True})
    else:
        output.answers().print("the provider was asked; `darkroom webhook list` shows what came")


def rotate_secret(
    endpoint: Id,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Have the provider sign with a new secret; the previous one stays valid until the next rotation."""
    from worker.accounts import webhooks

    database, client, account_id = _open()
    webhooks.rotate_secret(database, client, account_id, signing.author(by, reason), endpoint)
    if as_json:
        output.print_json({"webhook": endpoint, "rotated": True})
    else:
        output.answers().print("rotated; webhooks that are signed with the secret before are taken, too")


def remove(
    endpoint: Id,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Remove an endpoint at the provider and here; generations are polled as without it."""
    from worker.accounts import webhooks

    database, client, account_id = _open()
    webhooks.remove(database, client, account_id, signing.author(by, reason), endpoint)
    if as_json:
        output.print_json({"webhook": endpoint, "removed": True})
    else:
        output.answers().print("removed")


def _open() -> "tuple[Database, Client, UUID]":
    from worker import wiring
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError

    settings = resolve().settings
    if settings.api_key is None:
        raise CliError("set RIVYA_API_KEY: endpoints are registered with the provider", MISUSED)
    database = wiring.database(settings, connections=1)
    return database, wiring.client(settings), wiring.account(settings, database)


def _schemes(text: str) -> "tuple[Verifier, ...]":
    from worker.cli.errors import MISUSED, CliError
    from worker.provider.webhooks import Verifier

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names) or not set(names) <= set(Verifier):
        raise CliError(f"--verifiers: each of standard, stripe and none at most once, not {text[:60]!r}", MISUSED)
    return tuple(Verifier(name) for name in names)


def _row(each: "Endpoint") -> tuple[str, ...]:
    row, view = each.row, each.view
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(each.counts.items()))
    at_provider = "not registered" if view is None else f"{view.id}, {view.status or 'status not said'}"
    if view is not None and view.failure_count:
        at_provider += f", {output.plural(view.failure_count, 'failure')}"
    if row is None:
        return each.id, "not made here", at_provider, "", "", ""
    last = "never" if row.last_received_at is None else f"{row.last_received_at:%Y-%m-%d %H:%M:%S} UTC"
    return each.id, row.address, at_provider, ", ".join(row.verifiers), last, outcomes


def _as_json(each: "Endpoint") -> dict[str, Any]:
    row, view = each.row, each.view
    return {
        "webhook": each.id,
        "address": None if row is None else row.address,
        "verifiers": [] if row is None else list(row.verifiers),
        "created_at": None if row is None else row.created_at.isoformat(),
        "last_received_at": None if row is None or row.last_received_at is None else row.last_received_at.isoformat(),
        "outcomes": dict(each.counts),
        "provider": None
        if view is None
        else {"id": view.id, "status": view.status, "failure_count": view.failure_count},
    }
