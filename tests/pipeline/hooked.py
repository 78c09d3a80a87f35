"""The outside parts of a node with a listener before and after each effect: for crashes, and for looking around."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from worker.core.db.session import Database
from worker.provider.client import Client
from worker.provider.errors import wait_until_reset
from worker.provider.wire import GenerationView, UploadedFile
from worker.storage.store import Put, Store

Listener = Callable[[str], None]
"""Is told what is about to happen or has just happened; what it raises goes through."""


class Crash(BaseException):
    """The process is gone: nothing catches it and nothing after it happens."""


class Fuse:
    """A listener that lets so many effects pass and then burns through."""

    def __init__(self, effects: int) -> None:
        self._left = effects
        self.burnt_at: str | None = None

    def __call__(self, effect: str) -> None:
        if self._left == 0:
            self.burnt_at = effect
            raise Crash(effect)
        self._left -= 1


def die_after_create(effect: str) -> None:
    """Listen, and burn through once a create was sent and before its answer is written."""
    if effect == "after create":
        raise Crash(effect)


class HookedClient(Client):
    """The real client, heard before and after each call."""

    listener: Listener

    created_at: datetime | None = None
    """When the provider says that a task was created: its clock is the real one, and that of these tests is moved."""

    answered_id: str | None = None
    """The one id with which every create is answered, as by a cache on the way; None: each has its own."""

    limit_headers: Mapping[str, str] | None = None
    """What every answer to a create says of the limit, as something on the way may; None: what the provider says."""

    def create(self, *, body: bytes, idempotency_key: str) -> GenerationView:
        self.listener("before create")
        view = super().create(body=body, idempotency_key=idempotency_key)
        self.listener("after create")
        view = replace(view, id=self.answered_id or view.id)
        if self.limit_headers is None:
            return view
        return replace(view, limit_resets_in=wait_until_reset(self.limit_headers, now=self._now))

    def get(self, provider_id: str) -> GenerationView:
        self.listener("before get")
        view = replace(super().get(provider_id), created_at=self.created_at)
        self.listener("after get")
        return view

    def upload(self, *, content: bytes, name: str, mime_type: str, model: str, client_request_id: str) -> UploadedFile:
        self.listener("before upload")
        file = super().upload(
            content=content,
            name=name,
            mime_type=mime_type,
            model=model,
            client_request_id=client_request_id,
        )
        self.listener("after upload")
        return file

    def credits(self) -> int:
        self.listener("before credits")
        balance = super().credits()
        self.listener("after credits")
        return balance


class HookedStore(Store):
    """The real store, heard before and after each write."""

    listener: Listener

    def put_new(self, path: str, source: Path | bytes, *, content_type: str) -> Put:
        self.listener("before put")
        put = super().put_new(path, source, content_type=content_type)
        self.listener("after put")
        return put


class HookedDatabase(Database):
    """The real database, heard before and after each commit."""

    listener: Listener

    @contextmanager
    def transaction(self, *, is_snapshot: bool = False) -> Iterator[Connection]:
        with super().transaction(is_snapshot=is_snapshot) as tx:
            yield tx
            self.listener("before commit")
        self.listener("after commit")
