"""`darkroom user`, `darkroom token`: who may sign in, and the secrets with which programs use the HTTP API."""

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


if TYPE_CHECKING:
    from datetime import datetime

    from worker.core.rules.batch_request import Priority
    from worker.web.queries.identity import TokenRow
    from worker.web.rules.identity import Right


def create_token(  # noqa: PLR0917 - typer gives each by its name
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called in the log of changes.")],
    right: Annotated[
        list[str] | None,
        typer.Option(metavar="RIGHT", help="read, submit, control, review, finance, decide or admin; repeatable."),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="The owner whose batches it submits, sees and changes.")
    ] = None,
    all_owners: Annotated[bool, typer.Option("--all-owners", help="It acts for every owner.")] = False,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="For whom it acts; it has no more rights. [default: you]")
    ] = None,
    priority: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The highest priority: bulk, refresh or interactive.")
    ] = None,
    cap: Annotated[int | None, typer.Option(min=0, metavar="N", help="Most credits that one batch may commit.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="SPAN", help="After how long it ends, such as 90d.")] = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Create a token and print its secret, which is shown this once."""
    from worker.cli.context import opened
    from worker.cli.errors import MISUSED, CliError
    from worker.web import sessions, tokens
    from worker.web.tokens import TokenRequest

    if (owner is None) is not all_owners:
        raise CliError("say for whom it acts: --owner OWNER, or --all-owners", MISUSED)
    rights, ceiling = _rights(right or []), _priority(priority)
    by = signing.author(None, reason)
    _, database = opened()
    with database.transaction() as tx:
        wanted = TokenRequest(
            name=name,
            user=user or sessions.ensure_local_user(tx, by, signing.user()).name,
            rights=rights,
            owner=owner,
            max_priority=ceiling,
            credit_cap=cap,
            expires_at=_expiry(expires, by.now),
        )
        secret = tokens.create(tx, by, wanted)
    if as_json:
        output.print_json({"name": name, "token": secret, "expires_at": wanted.expires_at})
        return
    output.notes().print("The token, which is shown this once:")
    output.answers().print(secret, markup=False)


def list_tokens(as_json: output.AsJson = False) -> None:
    """List the tokens: whose they are, what they may do, and when they were last used."""
    from worker import wiring
    from worker.cli.context import opened
    from worker.web.queries import identity

    _, database = opened()
    with database.transaction() as tx:
        found, now = identity.tokens(tx), wiring.clock()
    if as_json:
        output.print_json([{**vars(each), "id": str(each.id), "state": _state(each, now)} for each in found])
        return
    table = output.table("token", "begins", "user", "owner", "rights", "state", "last used", details=("rights",))
    for each in found:
        used = "never" if each.used_at is None else f"{each.used_at:%Y-%m-%d %H:%M}"
        owner = each.owner or "all owners"
        table.add_row(each.name, each.prefix, each.user, owner, ", ".join(each.rights), _state(each, now), used)
    output.answers().print(table)


def revoke_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")],
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Make a token worthless at once."""
    from worker.cli.context import opened
    from worker.web import tokens

    by = signing.author(None, reason)
    _, database = opened()
    with database.transaction() as tx:
        tokens.revoke(tx, by, name)
    if as_json:
        output.print_json({"name": name, "state": "revoked"})
    else:
        output.answers().print(f"{name} is revoked", markup=False)


def _state(token: "TokenRow", now: "datetime") -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _rights(given: list[str]) -> "frozenset[Right]":
    from worker.cli.errors import MISUSED, CliError
    from worker.web.rules.identity import Right

    known = set(Right)
    if unknown := [each for each in given if each not in known]:
        raise CliError(f"--right {unknown[0]}: the rights are {', '.join(Right)}", MISUSED)
    if not given:
        raise CliError(f"a token needs a right: --right with one of {', '.join(Right)}", MISUSED)
    return frozenset(map(Right, given))


def _priority(given: str | None) -> "Priority | None":
    from worker.cli.errors import MISUSED, CliError
    from worker.core.rules.batch_request import Priority

    try:
        return None if given is None else Priority(given)
    except ValueError:
        raise CliError(f"--priority {given}: the classes are {', '.join(Priority)}", MISUSED) from None


def _expiry(given: str | None, now: "datetime") -> "datetime | None":
    from worker.cli.errors import MISUSED, CliError
    from worker.core.rules.batch_request import deadline, falls_at
    from worker.core.rules.fault import UnfitError

    try:
        return None if given is None else falls_at(deadline(given), now=now)
    except UnfitError as error:
        raise CliError(f"--expires {given}: {error}", MISUSED) from None
