"""Webhooks of the provider for one account: where it tells that generations have ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote
from uuid import UUID

from starlette.responses import Response

from worker import wiring
from worker.accounts import webhooks
from worker.accounts.queries import account_limits
from worker.accounts.webhooks import RECEIVED_AT, Endpoint
from worker.core.rules.errors import ProviderError
from worker.provider.client import Client
from worker.provider.webhooks import Verifier
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.fields import Fields
from worker.web.console.page import Visit
from worker.web.problems import Problem

_DONE = {
    "tested": "The provider was asked for a test event; it is counted below when it comes.",
    "rotated": "The provider signs with a new secret. What is signed with the one before is taken, too.",
    "removed": "The webhook is removed; generations are polled as without it.",
}
_NAME = "darkroom"
"""What the provider calls a webhook that is given no other name."""


def show(visit: Visit, url: str = "") -> Response:
    """Show the webhooks here and at the provider; ``url`` is that of a new one, which is shown this once."""
    name = visit.request.path_params["account"]
    account_id, client = _account(visit, name)
    return _shown(visit, name, account_id, client, url)


def _shown(visit: Visit, name: str, account_id: UUID, client: Client | None, url: str = "") -> Response:
    found, wrong = _listed(visit, account_id, client)
    base = visit.context.settings.web_url
    return visit.render(
        "accounts/webhooks.html",
        name=name,
        webhooks=found,
        wrong=wrong,
        has_key=client is not None,
        verifiers=list(Verifier),
        address="" if base is None else base.rstrip("/") + RECEIVED_AT.rstrip("/"),
        url_once=url,
        did=_DONE.get(visit.asked("did"), ""),
    )


def _listed(visit: Visit, account_id: UUID, client: Client | None) -> tuple[list[Endpoint], str]:
    """Return the webhooks, and why the provider's word of them is missing."""
    database, wrong = visit.context.database, "this process has no key of the account"
    if client is not None:
        try:
            return webhooks.listed(database, client, account_id), ""
        except ProviderError as error:
            wrong = str(error)
    rows, counts = webhooks.known(database, account_id)
    return [Endpoint(row=row, view=None, counts=counts.get(row.id, {})) for row in rows], wrong


def add(visit: Visit, fields: Fields) -> Response:
    """Register a webhook with the provider; its address has a secret path, and is shown this once."""
    name = visit.request.path_params["account"]
    account_id, client = _account(visit, name)
    schemes = tuple(each for each in Verifier if fields.get(f"verifier-{each}"))
    if not schemes:
        raise Problem(422, "request_invalid", "Say how its messages are proved: tick one way at least.")
    with _asked(client) as provider:
        added = webhooks.add(
            visit.context.database,
            provider,
            account_id,
            visit.author(fields),
            address=fields.get("address", ""),
            name=fields.get("name") or _NAME,
            verifiers=schemes,
        )
    return _shown(visit, name, account_id, client, added.url)


def send_test(visit: Visit, fields: Fields) -> Response:
    """Have the provider send a test event."""
    account_id, client = _account(visit, visit.request.path_params["account"])
    with _asked(client) as provider:
        webhooks.request_test(visit.context.database, provider, account_id, fields.get("webhook", ""))
    return _back(visit, "tested")


def rotate(visit: Visit, fields: Fields) -> Response:
    """Have the provider sign with a new secret."""
    account_id, client = _account(visit, visit.request.path_params["account"])
    database, by, endpoint = visit.context.database, visit.author(fields), fields.get("webhook", "")
    with _asked(client) as provider:
        webhooks.rotate_secret(database, provider, account_id, by, endpoint)
    return _back(visit, "rotated")


def remove(visit: Visit, fields: Fields) -> Response:
    """Remove a webhook at the provider and here."""
    account_id, client = _account(visit, visit.request.path_params["account"])
    database, by, endpoint = visit.context.database, visit.author(fields), fields.get("webhook", "")
    with _asked(client) as provider:
        webhooks.remove(database, provider, account_id, by, endpoint)
    return _back(visit, "removed")


def _account(visit: Visit, name: str) -> tuple[UUID, Client | None]:
    """Return the account, and a client with its own key; None where this process has none."""
    with visit.context.database.transaction() as tx:
        found = None if "\0" in name else account_limits.view(tx, name, now=visit.now)
    if found is None:
        raise not_found("account")
    own = visit.context.settings.of_account(name)
    return found.id, None if own is None or own.api_key is None else wiring.client(own)


@contextmanager
def _asked(client: Client | None) -> Iterator[Client]:
    """Yield the client of the account; say on the page what the provider refused."""
    if client is None:
        raise Problem(503, "no_key", "This process has no key of the account: start it with the key, as a node.")
    try:
        yield client
    except ProviderError as error:
        raise Problem(
            502, error.error_code, f"The provider did not do it: {error}. Nothing was changed here."
        ) from None


def _back(visit: Visit, did: str) -> Response:
    name = quote(visit.request.path_params["account"], safe="")
    return page.redirect(visit.request, f"/accounts/{name}/webhooks?did={did}")
