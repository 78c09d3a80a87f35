"""A whole Darkroom on this machine for as long as one command runs; nothing of it is left behind."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.cli.context import Context, is_embedded, resolve, with_sandbox
from worker.cli.errors import CliError
from worker.cli.local import parts, running, sandbox
from worker.cli.local import services as local_services
from worker.cli.local.child_process import ChildProcess
from worker.cli.local.interrupts import GracefulShutdown
from worker.cli.local.logs import LogFollower
from worker.cli.web import serve
from worker.local import records, services
from worker.local.errors import tail
from worker.settings import load

NODE_GRACE_S = 60.0
"""Longer than any request of a step may take."""
SANDBOX_GRACE_S = 5.0
WEB_GRACE_S = 15.0
_LOOK_S = 2.0
"""Between two looks at the services and the sandbox."""
_HOPELESS_ENDS = 5
"""So many ends of a node one after the other are no accident."""

Say = Callable[[str, str], None]
"""Told a part and what is to be said about it."""


class LocalStack:
    """Services, tables, sandbox and nodes: started on entry, drained and ended on exit."""

    def __init__(self, say: Say, *, nodes: int, is_up: bool, has_web: bool = True) -> None:
        """Decide what there will be; nothing starts yet.

        ``is_up``: this is `darkroom up`, which prints what nodes log, too, and which other commands find.
        ``has_web``: the web process runs too, where it is installed.
        """
        self._say = say
        self._nodes = nodes
        self._shown = LogFollower() if is_up else None
        self._is_up = is_up
        self._has_web = has_web and serve.is_installed()
        self._context: Context | None = None
        self._sandbox: ChildProcess | None = None
        self._uses_home_sandbox = False
        self._look_at = 0.0
        self._workers: list[ChildProcess] = []
        self._web: ChildProcess | None = None
        self._exits = ExitStack()

    @property
    def context(self) -> Context:
        """Where everything is; only inside the ``with``."""
        if self._context is None:
            raise RuntimeError("the local stack is not running")
        return self._context

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            context = resolve(needs_database=False)
            context.home.mkdir(parents=True, exist_ok=True)
            if self._is_up:
                for place in running.write(context.home, mode=context.mode):
                    stack.callback(place.unlink, missing_ok=True)
            guest = local_services.ServiceLock(context.home)
            stack.callback(self._leave, guest, context.home)
            stack.callback(self._drain)
            self._context = self._start(context)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def start_nodes(self) -> None:
        """Start the worker nodes, which begin with what waits in the database."""
        for number in range(1, self._nodes + 1):
            log = parts.node_log(self.context.home, number)
            if self._shown is not None:
                self._shown.add(log)
            self._workers.append(parts.start_node(self.context, number, log=log))
        where = "" if self._shown is not None else f", log {parts.node_log(self.context.home, 1)}"
        noun = "node" if self._nodes == 1 else "nodes"
        self._say(noun, f"{self._nodes}, of {self.context.settings.concurrency} threads each{where}")

    def start_web(self) -> None:
        """Start the web process and print its address, with a link that signs in the person at this machine."""
        if not self._has_web:
            return
        log = parts.web_log(self.context.home)
        if self._shown is not None:
            self._shown.add(log)
        child, address = parts.start_web(self.context, log=log)
        self._web = child
        self._say("web", f"{address}; `darkroom user link` prints a link that signs you in")

    def supervise(self) -> None:
        """Restart processes that ended by themselves; raise CliError when a node keeps ending."""
        self._show_logs()
        for child in self._workers:
            if news := child.revive():
                self._say(child.spec.name, news)
            if child.ends >= _HOPELESS_ENDS and child.spec.log is not None:
                raise CliError(f"{child.spec.name} keeps ending; {child.spec.log} ends with:\n{tail(child.spec.log)}")
        self._tend_web()
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._tend_services()
            if self._uses_home_sandbox:
                self._tend_sandbox()

    def _tend_web(self) -> None:
        """Start the web process again when it has ended; without it everything else goes on."""
        if self._web is None:
            return
        if news := self._web.revive():
            self._say("web", news)
        if self._web.ends >= _HOPELESS_ENDS:
            self._say("web", f"keeps ending and is left out; see {self._web.spec.log}")
            self._web.release()
            self._web = None

    def _tend_services(self) -> None:
        """Start again a server of the home that has ended by itself; one that was stopped on purpose stays stopped."""
        home = self.context.home
        if not is_embedded(load()) or local_services.were_stopped(home):
            return
        found = services.status(home)
        missing = [name for name, each in (("Postgres", found.postgres), ("Valkey", found.valkey)) if each is None]
        if missing:
            self._say("services", f"{' and '.join(missing)} ended; started again")
            services.start(home)

    def _tend_sandbox(self) -> None:
        """Take the place of a sandbox that has ended, be it ours or that of another command."""
        if sandbox.running(self.context.home) is not None:
            return
        self._say("sandbox", "has ended; it is started again")
        if self._sandbox is not None:
            self._sandbox.kill()
            self._sandbox.process.wait()
            self._sandbox.release()
            self._sandbox = None
        self._open_sandbox(self.context)

    def _start(self, context: Context) -> Context:
        began = time.monotonic()
        context = parts.start_services(context, stays=False)
        self._say("services", f"{_servers(context.home)} ({time.monotonic() - began:.1f} s)")
        parts.migrate_database(context)
        self._say("database", f"{_database(context)}, tables up to date")
        if context.is_home_sandbox or not context.has_provider:
            context = self._open_sandbox(context)
        self._say("provider", context.provider)
        self._say("images", context.settings.store_url)
        return context

    def _open_sandbox(self, context: Context) -> Context:
        """Use the sandbox that runs in this home, or start one; two starters at once make one sandbox."""
        self._uses_home_sandbox = True
        with records.exclusive(context.home / "run" / "sandbox.lock"):
            found = sandbox.running(context.home)
            if found is None:
                self._sandbox = parts.start_sandbox(context)
                found = sandbox.running(context.home)
        if found is None:
            raise CliError(f"the sandbox ended at once; look at {context.home / 'log' / 'sandbox.log'}")
        names = [each.account for each in context.settings.accounts]
        return with_sandbox(context, sandbox.open_accounts(context.home, found, names))

    def _show_logs(self) -> None:
        if self._shown is not None:
            self._shown.show()

    def _drain(self) -> None:
        with GracefulShutdown(lambda: self._say("stop", "at once")) as shutdown:
            if self._web is not None:
                parts.end([self._web], grace_s=WEB_GRACE_S, is_hurried=shutdown.is_forced)
            if self._workers:
                self._say("stop", "nodes finish the jobs in progress; Ctrl-C again ends them at once")
                parts.end(self._workers, grace_s=NODE_GRACE_S, is_hurried=shutdown.is_forced, meanwhile=self._show_logs)
                self._show_logs()
            if self._sandbox is not None:
                parts.end([self._sandbox], grace_s=SANDBOX_GRACE_S, is_hurried=shutdown.is_forced)

    def _leave(self, guest: local_services.ServiceLock, home: Path) -> None:
        with GracefulShutdown(lambda: None):
            if guest.leave():
                services.stop(home)
                self._say("stop", "the embedded services have ended")


def _servers(home: Path) -> str:
    found = services.status(home)
    if found.postgres is None or found.valkey is None:
        return "those of DARKROOM_DATABASE_URL and DARKROOM_BROKER_URL"
    return f"Postgres on port {found.postgres.port}, Valkey on port {found.valkey.port}"


def _database(context: Context) -> str:
    from worker.core.db import session

    if context.settings.database_url is None:
        return "none"
    url = session.parsed_url(context.settings.database_url.get_secret_value())
    return f"{url.database} on {session.hosts_of(url) or 'a socket'}"
