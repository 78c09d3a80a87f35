"""A web process in a thread of the test: real HTTP on a socket of the loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import requests

from tests.acceptance.waiting import until
from worker.core.db.changes import Author
from worker.core.rules.batch_request import Priority
from worker.web import server, sessions, tokens
from worker.web.context import WebContext
from worker.web.rules.identity import Right
from worker.web.tokens import TokenRequest


@dataclass(frozen=True, kw_only=True)
class Web:
    """A server that runs, and the identities that a test makes for it."""

    url: str
    context: WebContext

    @property
    def by(self) -> Author:
        """The author of what the test sets up."""
        return Author(actor="test", reason=None, now=self.context.clock(), new_id=self.context.new_id)

    def user(self, name: str, *roles: str) -> str:
        """Add a user; returns its name."""
        with self.context.database.transaction() as tx:
            sessions.add_user(tx, self.by, name=name, roles=list(roles))
        return name

    def token(
        self,
        name: str,
        *rights: Right,
        owner: str | None = None,
        max_priority: Priority | None = None,
        credit_cap: int | None = None,
    ) -> dict[str, str]:
        """Make a token of an administrator; returns the headers that it is sent with."""
        with self.context.database.transaction() as tx:
            user = sessions.ensure_local_user(tx, self.by, "tester").name
            wanted = TokenRequest(
                name=name,
                user=user,
                rights=frozenset(rights or Right),
                owner=owner,
                max_priority=max_priority,
                credit_cap=credit_cap,
            )
            return {"Authorization": f"Bearer {tokens.create(tx, self.by, wanted)}"}

    def browser(self, name: str) -> requests.Session:
        """Sign a user in by a link; returns the browser, which sends its own origin with what it posts."""
        with self.context.database.transaction() as tx:
            path = sessions.new_link(tx, self.by, name)
        browser = requests.Session()
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        answer = browser.post(self.url + path, timeout=10, allow_redirects=False)
        assert answer.status_code == 303
        return browser


@contextmanager
def serving(context: WebContext, *, is_patient: bool = False) -> Iterator[Web]:
    """Serve while the block lasts; ``is_patient``: then wait for what is in progress, as a process does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = server.Server(server.config(context))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: running.started, "the server listens")
        try:
            yield Web(url=f"http://127.0.0.1:{listening.getsockname()[1]}", context=context)
        finally:
            running.should_exit = True
            running.force_exit = not is_patient
            thread.join(60 if is_patient else 10)
            assert not thread.is_alive(), "the server did not end"


def with_settings(context: WebContext, **settings: object) -> WebContext:
    """Return the same parts with other settings."""
    return replace(context, settings=context.settings.model_copy(update=settings))
