"""`darkroom user`: who may sign in, and what they may do."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing
from worker.cli.errors import CliError

if TYPE_CHECKING:
    from worker.web.queries.identity import UserRow

Name = Annotated[str, typer.Argument(metavar="NAME", help="As the identity provider, the proxy or the link names it.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE", help="viewer, reviewer, operator, finance or admin; may be repeated."),
]


def add(
    name: Name,
    role: Roles = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a user with one or more roles."""
    from worker.cli.context import opened
    from worker.web import sessions

    by = signing.author(None, reason)
    _, database = opened()
    with database.transaction() as tx:
        _answer([sessions.add_user(tx, by, name=name, roles=role or [])], as_json=as_json)


def list_(as_json: output.AsJson = False) -> None:
    """List the users with their roles."""
    from worker.cli.context import opened
    from worker.web.queries import identity

    _, database = opened()
    with database.transaction() as tx:
        _answer(identity.users(tx), as_json=as_json)


def set_(
    name: Name,
    role: Roles = None,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether the user may do nothing from now on.")
    ] = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Change a user's roles, disable or enable it; its sessions end at once."""
    from worker.cli.context import opened
    from worker.web import sessions

    by = signing.author(None, reason)
    _, database = opened()
    with database.transaction() as tx:
        changed = sessions.set_user(tx, by, name=name, roles=role or None, is_disabled=disable)
        _answer([changed], as_json=as_json)


def link(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Whom it signs in. [default: you, on this machine]")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Print a link that signs a user in once, within 15 minutes."""
    from worker.cli.context import opened
    from worker.cli.local import running
    from worker.web import sessions

    context, database = opened()
    address = context.settings.web_url or running.web_url(context.home)
    if address is None:
        raise CliError("no web process runs here, or it is still starting: see `darkroom up`, `darkroom web`")
    by = signing.author(None, "a sign-in link was asked for")
    with database.transaction() as tx:
        user = name or sessions.ensure_local_user(tx, by, signing.user()).name
        url = address.rstrip("/") + sessions.new_link(tx, by, user)
    if as_json:
        output.print_json({"user": user, "url": url})
    else:
        output.answers().print(url, markup=False)


def _answer(found: "list[UserRow]", *, as_json: bool) -> None:
    if as_json:
        output.print_json([_shown(each) for each in found])
        return
    table = output.table("user", "roles", "state", "since")
    for each in found:
        state = "active" if each.disabled_at is None else "disabled"
        table.add_row(each.name, ", ".join(each.roles), state, f"{each.disabled_at or each.created_at:%Y-%m-%d}")
    output.answers().print(table)


def _shown(user: "UserRow") -> dict[str, Any]:
    return {**vars(user), "id": str(user.id)}
