"""`darkroom web`: the web process in the foreground."""

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.web.context import WebContext


def web(
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where to listen. [default: DARKROOM_WEB_LISTEN, 127.0.0.1:8780]"),
    ] = None,
    link: Annotated[bool, typer.Option("--link/--no-link", help="Print a link that signs you in once.")] = True,
) -> None:
    """Serve the HTTP API and the pages until Ctrl-C; prints a link that signs you in once.

    Beyond this machine it listens only with trusted proxies or OIDC, which tell who a user is.
    """
    from worker import logs
    from worker.cli.context import resolve

    require_web()
    context = resolve()
    settings = context.settings
    from worker.cli.local import running
    from worker.core import tracing
    from worker.web import server
    from worker.web.rules import origins

    host, port = _parts(listen or settings.web_listen)
    server.check_listening(settings, host)
    logs.configure(style=settings.log_format, level=settings.log_level)
    if untraced := tracing.configure("web"):
        output.notes().print(f"no traces are sent: {untraced}", markup=False)
    opened = server.context(settings)
    url = settings.web_url or f"http://{host}:{port}"
    console = output.notes()
    console.print(f"listening on http://{host}:{port}", markup=False)
    if link and origins.is_loopback(host):
        console.print(f"sign in once, within 15 minutes: {url.rstrip('/')}{_link(opened)}", markup=False)
    with running.web_at(context.home, url):
        server.serve(opened, host=host.strip("[]"), port=port)


def require_web() -> None:
    """Raise CliError where the web process' own dependencies are not installed."""
    from worker.cli.errors import CliError

    if not is_installed():
        raise CliError("the web process is not installed: pip install 'darkroom[web]'")


def is_installed() -> bool:
    """Return whether the extra ``web`` is there."""
    return all(importlib.util.find_spec(name) is not None for name in ("starlette", "uvicorn", "authlib"))


def _link(opened: "WebContext") -> str:
    from worker.cli import signing
    from worker.web import sessions

    by = signing.author(None, "the web process started")
    with opened.database.transaction() as tx:
        user = sessions.ensure_local_user(tx, by, signing.user())
        return sessions.new_link(tx, by, user.name)


def _parts(listen: str) -> tuple[str, int]:
    from worker.cli.errors import MISUSED, CliError

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise CliError(f"--listen {listen}: is not HOST:PORT, such as 127.0.0.1:8780", MISUSED)
    return host, int(port)
