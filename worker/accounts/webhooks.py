"""Register, list, test and remove the endpoints to which the provider sends webhooks; each change is recorded."""

import contextlib
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.accounts.queries import webhooks
from worker.accounts.queries.webhooks import EndpointRow
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError, NotFound, ProviderError, Unavailable
from worker.provider.client import Client
from worker.provider.session import is_loopback_url
from worker.provider.webhooks import EVENT_TYPES, Verifier
from worker.provider.wire import WebhookView

PATH_BYTES = 32
"""Random bytes in the last segment of an endpoint's URL: 256 bits cannot be guessed."""
RECEIVED_AT = "/webhooks/provider/"
"""The path of the web process that a proxy leads an endpoint's address to."""


class WebhookFaulty(DarkroomError):
    """The endpoint cannot be registered, or does not exist."""

    error_code = "webhook_invalid"
    exit_code = 2


class WebhookUnregistered(DarkroomError):
    """The provider may or may not have registered an endpoint."""

    error_code = "webhook_unregistered"


@dataclass(frozen=True, kw_only=True)
class Added:
    """A new endpoint, and the URL that is registered, which cannot be found again."""

    id: UUID
    provider_id: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint as it is known here, at the provider, or both."""

    row: EndpointRow | None
    view: WebhookView | None
    counts: Mapping[str, int]

    @property
    def id(self) -> str:
        """Return the id for commands: ours, else the provider's."""
        return str(self.row.id) if self.row is not None else self.view.id if self.view is not None else ""


def digest(path: str) -> bytes:
    """Return what is kept of the last segment of a URL; it is long and random, so that one round suffices."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()


def add(
    database: Database,
    client: Client,
    account_id: UUID,
    by: Author,
    *,
    address: str,
    name: str,
    verifiers: Sequence[Verifier],
) -> Added:
    """Make a secret path below an address, and register it with the provider.

    The endpoint takes webhooks before it is registered, so that none is lost. Raises WebhookFaulty, ProviderError when
    it was surely not registered, and WebhookUnregistered when that is not known.
    """
    address = _checked(address, client)
    endpoint_id, path = by.new_id(), secrets.token_urlsafe(PATH_BYTES)
    with database.transaction() as tx:
        webhooks.insert(
            tx,
            endpoint_id=endpoint_id,
            account_id=account_id,
            address=address,
            path_digest=digest(path),
            verifiers=verifiers,
            now=by.now,
        )
        changes.record(tx, by, _subject(endpoint_id), "address", before=None, after=address)
        changes.record(tx, by, _subject(endpoint_id), "verifiers", before=None, after=",".join(verifiers))
    try:
        view = client.add_webhook(name=name, url=f"{address}/{path}", event_types=EVENT_TYPES)
    except Unavailable as error:
        raise WebhookUnregistered(
            f"whether the provider registered the endpoint is not known ({error}): `darkroom webhook list` looks;"
            f" then `darkroom webhook remove {endpoint_id}`, and add it again"
        ) from error
    except ProviderError:
        _forget(database, by, endpoint_id)
        raise
    with database.transaction() as tx:
        webhooks.registered(tx, endpoint_id, provider_id=view.id, secret=view.signing_secret)
        changes.record(tx, by, _subject(endpoint_id), "provider_id", before=None, after=view.id)
    return Added(id=endpoint_id, provider_id=view.id, url=f"{address}/{path}")


def listed(database: Database, client: Client, account_id: UUID) -> list[Endpoint]:
    """Return the endpoints in the database, then those that only the provider has; raises ProviderError."""
    rows, counts = known(database, account_id)
    views = list(client.webhooks())
    found = []
    for row in rows:
        view = next((each for each in views if _is_same(row, each)), None)
        if view is not None:
            views.remove(view)
        found.append(Endpoint(row=row, view=view, counts=counts.get(row.id, {})))
    return [*found, *(Endpoint(row=None, view=each, counts={}) for each in views)]


def known(database: Database, account_id: UUID) -> tuple[list[EndpointRow], Mapping[UUID, Mapping[str, int]]]:
    """Return the endpoints in the database with their counts; the provider is not called."""
    with database.transaction() as tx:
        return webhooks.live(tx, account_id), webhooks.counts(tx, account_id)


def request_test(database: Database, client: Client, account_id: UUID, endpoint_id: str) -> None:
    """Have the provider send a test event; raises WebhookFaulty and ProviderError."""
    found = _find(database, client, account_id, endpoint_id)
    if found.view is None:
        raise WebhookFaulty(f"the provider does not have endpoint {endpoint_id}: remove it, and add it again")
    client.test_webhook(found.view.id)


def rotate_secret(database: Database, client: Client, account_id: UUID, by: Author, endpoint_id: str) -> None:
    """Rotate the secret at the provider; signatures of the previous one are accepted until the next rotation.

    Raises WebhookFaulty, ProviderError when it was surely not rotated, and WebhookUnregistered when that is not known.
    """
    found = _find(database, client, account_id, endpoint_id)
    if found.view is None or found.row is None:
        where = "here" if found.row is None else "at the provider"
        raise WebhookFaulty(f"endpoint {endpoint_id} is not known {where}: remove it, and add it again")
    again = f"`darkroom webhook rotate-secret {found.row.id}` again"
    with database.transaction() as tx:
        # The intent comes first, so that of two copies of one request the second asks for nothing.
        changes.record(tx, by, _subject(found.row.id), "secret", before=None, after="to be rotated")
    try:
        secret = client.rotate_webhook_secret(found.view.id).signing_secret
    except Unavailable as error:
        raise WebhookUnregistered(f"whether the secret was rotated is not known ({error}): {again}") from error
    if secret is None:
        raise WebhookUnregistered(f"the provider's answer has no new secret: {again}, or add another endpoint")
    with database.transaction() as tx:
        webhooks.set_secret(tx, found.row.id, secret)
        changes.record(tx, by, _subject(found.row.id), "secret", before=None, after="rotated")


def remove(database: Database, client: Client, account_id: UUID, by: Author, endpoint_id: str) -> None:
    """Remove an endpoint at the provider, then stop accepting webhooks there; raises WebhookFaulty, ProviderError."""
    found = _find(database, client, account_id, endpoint_id)
    if found.view is not None:
        # One that was removed in the meantime is as it should be.
        with contextlib.suppress(NotFound):
            client.remove_webhook(found.view.id)
    if found.row is not None:
        _forget(database, by, found.row.id)


def _find(database: Database, client: Client, account_id: UUID, endpoint_id: str) -> Endpoint:
    for each in listed(database, client, account_id):
        if endpoint_id in {each.id, each.view.id if each.view is not None else None}:
            return each
    raise WebhookFaulty(f"there is no endpoint {endpoint_id!r}: `darkroom webhook list` shows all")


def _is_same(row: EndpointRow, view: WebhookView) -> bool:
    """Return whether both are one: by the id, or by the path where the answer with the id was lost."""
    if row.provider_id is not None:
        return row.provider_id == view.id
    return view.url is not None and digest(view.url.rpartition("/")[2]) == row.path_digest


def _forget(database: Database, by: Author, endpoint_id: UUID) -> None:
    with database.transaction() as tx:
        if webhooks.remove(tx, endpoint_id, now=by.now):
            changes.record(tx, by, _subject(endpoint_id), "removed_at", before=None, after=by.now.isoformat())


def _subject(endpoint_id: UUID) -> str:
    return f"webhook:{endpoint_id}"


def _checked(address: str, client: Client) -> str:
    """Return an address without a slash at its end; the provider takes only HTTPS, a sandbox this machine's, too."""
    address = address.rstrip("/")
    is_play = is_loopback_url(client.base_url) and is_loopback_url(address)
    if not address.startswith("https://") and not (is_play and address.startswith("http://")):
        raise WebhookFaulty(f"{address!r}: the provider sends webhooks to https:// addresses only")
    if "?" in address or "#" in address or "@" in address:
        raise WebhookFaulty(f"{address!r}: an address without user, query and fragment is needed")
    return address
