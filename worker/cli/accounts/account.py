"""`darkroom account`: the state of an account, and pause, resume and limits."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.accounts.queries.account_limits import AccountView
    from worker.core.db.session import Database
Name = Annotated[
    str | None, typer.Argument(metavar="[ACCOUNT]", help="The account's name. [default: DARKROOM_ACCOUNT]")
]


def show(account: Name = None, as_json: output.AsJson = False) -> None:
    """Show an account's request rate, in-flight window, wallet and pause."""
    database, name = _open(account)
    answer(_view(database, name), as_json=as_json)


def list_(as_json: output.AsJson = False) -> None:
    """List all accounts with their limits, pools and pauses."""
    from worker import wiring
    from worker.accounts.queries import account_limits
    from worker.cli.context import opened

    _, database = opened()
    with database.transaction() as tx:
        names = account_limits.names(tx)
        found = [view for name in names if (view := account_limits.view(tx, name, now=wiring.clock())) is not None]
    if as_json:
        output.print_json([account_limits.as_json(each) for each in found])
        return
    table = output.table(
        "account", "provider", "requests/s", "in flight", "wallet", "pools", "state",
        whole=("account",), details=("provider", "pools"),
    )  # fmt: skip
    for each in found:
        table.add_row(
            each.name,
            each.base_url or "none yet",
            f"{each.rate:.3g}" + (" (learned)" if each.is_rate_learned else ""),
            f"{each.in_flight:,} of {each.max_in_flight:,}",
            "not read yet" if each.wallet_left is None else f"{each.wallet_left:,}",
            ", ".join(each.pools),
            each.pause_reason or ("closed by a 429" if each.blocked_until else "open"),
        )
    output.answers().print(table)


def default(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="As batches name it.")],
    account: Annotated[str | None, typer.Option(help="The account that pays.")] = None,
    pool: Annotated[str | None, typer.Option(help="Their jobs are spread over its accounts.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="As for owners without a default.")] = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Set or show the account, or the pool, of an owner's batches that name neither."""
    from worker.accounts import choosing
    from worker.accounts.queries import pools
    from worker.cli.context import opened
    from worker.cli.errors import MISUSED, CliError

    asked = [account is not None, pool is not None, clear]
    if sum(asked) > 1:
        raise CliError("say one of --account NAME, --pool NAME and --clear", MISUSED)
    _, database = opened()
    with database.transaction() as tx:
        if any(asked):
            choosing.set_usual(tx, owner, account=account, pool=pool, by=signing.author(by, reason))
        usual = pools.usual(tx, owner)
    if as_json:
        shown = {"account": None, "pool": None} if usual is None else {"account": usual.account, "pool": usual.pool}
        output.print_json({"owner": owner, **shown})
    elif usual is None:
        output.answers().print(f"{owner} has no default: batches use the account of who submits them.", markup=False)
    else:
        output.answers().print(f"{owner}: {usual}", markup=False)


def pause(
    account: Name = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Stop paid work until `account resume`; generations in progress are polled and downloaded."""
    from worker.accounts import control

    database, name = _open(account)
    _view(database, name)
    answer(control.pause(database, name, signing.author(by, reason)), as_json=as_json)


def resume(
    account: Name = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Resume paid work, whatever it was paused for; a cause that persists pauses it again."""
    from worker.accounts import control

    database, name = _open(account)
    _view(database, name)
    answer(control.resume(database, name, signing.author(by, reason)), as_json=as_json)


def same_key(
    account: Name = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Confirm that RIVYA_API_KEY belongs to the same provider account as the previous key.

    If it is not, a request whose answer was lost may be paid for twice.
    """
    from worker import wiring
    from worker.accounts import binding
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError

    settings = resolve().settings
    # The key of this account and of no other: which one it is decides what is paid for once.
    own = settings.of_account(account or settings.account)
    if own is None:
        known = ", ".join(each.account for each in settings.each_account)
        raise CliError(f"there is no key of account {account!r} here: DARKROOM_ACCOUNTS has {known}", MISUSED)
    if own.api_key is None or reason is None:
        raise CliError("set RIVYA_API_KEY to the new key, and say with --reason TEXT how you know", MISUSED)
    database, name = _open(account)
    found = _view(database, name)
    binding.same_key(database, found.id, wiring.place(own), signing.author(by, reason))
    answer(_view(database, name), as_json=as_json)


def set_limits(
    account: Name = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Requests per second to the provider; auto: learned from its answers."),
    ] = None,
    read_rate: Annotated[
        str | None,
        typer.Option(
            metavar="N|shared",
            help="Reads per second, if the provider counts them separately; shared: one rate for all requests.",
        ),
    ] = None,
    max_in_flight: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Most generations in flight at the provider.")
    ] = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Set an account's request rate, read rate or in-flight window; takes effect at once.

    It stays over restarts of the nodes, until DARKROOM_RATE, DARKROOM_READ_RATE or DARKROOM_MAX_IN_FLIGHT of a node
    that starts says something else than it said before.
    """
    from worker.accounts import control
    from worker.cli.errors import MISUSED, CliError

    if rate is None and read_rate is None and max_in_flight is None:
        raise CliError("say what to set: --rate N|auto, --read-rate N|shared, --max-in-flight N", MISUSED)
    database, name = _open(account)
    _view(database, name)
    by_whom = signing.author(by, reason)
    limits = {
        "rate": _rate("--rate", rate, word="auto"),
        "read_rate": _rate("--read-rate", read_rate, word="shared"),
        "max_in_flight": max_in_flight,
    }
    answer(control.set_limits(database, name, by_whom, **limits), as_json=as_json)


def _open(account: str | None) -> "tuple[Database, str]":
    from worker import wiring
    from worker.cli.context import resolve

    settings = resolve().settings
    return wiring.database(settings, connections=1), account or settings.account


def _view(database: "Database", name: str) -> "AccountView":
    """Return the account; raise CliError when there is none of that name."""
    from worker import wiring
    from worker.accounts.queries import account_limits
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    with database.transaction() as tx:
        found = account_limits.view(tx, name, now=wiring.clock())
        known = ", ".join(account_limits.names(tx))
    if found is None:
        others = f"there are {known}" if known else "the first `darkroom submit` or node creates one"
        raise CliError(f"there is no account {plain(name)!r}: {others}")
    return found


def _rate(option: str, text: str | None, *, word: str) -> Any:
    from worker.cli.errors import MISUSED, CliError

    if text is None or text == word:
        return text
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate <= 100_000:  # noqa: PLR2004 - as DARKROOM_RATE
        raise CliError(f"{option}: a number above 0 and up to 100000, or {word}, not {text[:40]!r}", MISUSED)
    return rate


if TYPE_CHECKING:
    from worker.accounts.queries.account_limits import AccountView


def answer(found: "AccountView", *, as_json: bool) -> None:
    """Print it, for people or for scripts."""
    from worker.accounts.queries import account_limits

    if as_json:
        output.print_json(account_limits.as_json(found))
    else:
        _print(found)


def _print(found: "AccountView") -> None:
    from rich.text import Text

    lines = _lines(found)
    output.answers().print(output.grid({**lines, "paused": Text(lines["paused"], style="yellow")}))


def _lines(found: "AccountView") -> dict[str, str]:
    how = "learned" if found.is_rate_learned else "set"
    reads = "the same" if found.read_rate is None else f"{found.read_rate:.3g} requests a second"
    lines = {
        "account": found.name,
        "provider": found.base_url or "none yet",
        "rate limit": f"{found.rate:.3g} requests a second ({how})",
        "read limit": reads,
        "in flight": f"{found.in_flight:,} of at most {found.max_in_flight:,} generations",
        "wallet": "not read yet",
        "paused": "no",
    }
    if found.wallet_left is not None and found.wallet_read_at is not None:
        lines["wallet"] = (
            f"{output.plural(found.wallet_left, 'credit')} left, read {found.wallet_read_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    if found.blocked_until is not None:
        until = f"{found.blocked_until:%Y-%m-%d %H:%M:%S} UTC"
        lines["closed until"] = f"{until}: the provider answered 429; `darkroom account resume {found.name}` opens it"
    if found.pause_reason is not None:
        words = f" ({found.pause_message})" if found.pause_message else ""
        lines["paused"] = f"{found.pause_reason}{words} since {found.paused_at:%Y-%m-%d %H:%M:%S} UTC"
        lines["resumes"] = _end_of(found)
    if found.paused_models:
        lines["models"] = "; ".join(map(str, found.paused_models))
    return lines


def _end_of(found: "AccountView") -> str:
    command = f"`darkroom account resume {found.name}`"
    if found.pause_reason == "results_unreachable":
        return f"with the first image that comes, or with {command}"
    if found.pause_reason in {"provider_failing", "outcomes_unknown"}:
        return f"by itself when a canary succeeds, or with {command}"
    return "by itself" if found.probe_at else f"with {command}"
