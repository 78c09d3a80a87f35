"""`darkroom cancel`, `pause`, `resume`, `reprioritise`: an action on one batch, or on those that a filter matches."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

import typer

from worker.batches.rules.selection import Selection
from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.states import BatchAction


def command(own: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function of a Typed: it takes the batch, the options of ``own``, then those of a Typed."""

    @functools.wraps(own)
    def run(**given: Any) -> None:
        typed = Typed(**{field.name: given.pop(field.name) for field in fields(Typed)})
        own(typed, **given)

    run.__signature__ = _signature(own)  # type: ignore[attr-defined]  # typer makes the options from it
    return run


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed: each field is an argument or an option, in the order in which ``--help`` lists them."""

    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name. Or give a filter."
        ),
    ] = None
    owner: Annotated[str | None, typer.Option(help="Filter: batches of this owner.")] = None
    name: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Filter: by name; * stands for any characters, ? for one.")
    ] = None
    purpose: Annotated[Purpose | None, typer.Option(help="Filter: batches of this purpose.")] = None
    priority: Annotated[Priority | None, typer.Option(help="Filter: batches of this class.")] = None
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Filter: submitted then or later: 2026-11-30, or 2026-11-30T18:00:00Z."),
    ] = None
    before: Annotated[str | None, typer.Option(metavar="WHEN", help="Filter: submitted before.")] = None
    all_: Annotated[bool, typer.Option("--all", help="All batches, instead of a filter.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With a filter: do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which batches, and the effect.")] = False
    by: signing.ByOption = None
    reason: signing.ReasonOption = None
    as_json: output.AsJson = False


def act(typed: Typed, action: BatchAction, *, priority: Priority | None = None, weight: int | None = None) -> None:
    """Do it to the batch that is named, or to those of the filter once their list and the effect are agreed to."""
    from worker.batches.actions import Order
    from worker.cli import signing
    from worker.cli.batches import bulk_run

    choice = choice_of(typed)
    author = signing.author(typed.by, typed.reason)
    bulk_run.run(choice, Order(action=action, author=author, priority=priority, weight=weight))


def _signature(own: Callable[..., None]) -> inspect.Signature:
    batch, *options = inspect.signature(Typed).parameters.values()
    _typed, *of_its_own = inspect.signature(own).parameters.values()
    found = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (batch, *of_its_own, *options)]
    return inspect.Signature(found, return_annotation=None)


@command
def cancel(typed: Typed) -> None:
    """Cancel batches: unsent jobs are dropped; generations at the provider are paid for and downloaded.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are cancelled.
    """
    act(typed, BatchAction.CANCEL)


@command
def pause(typed: Typed) -> None:
    """Pause batches: no further job starts until `darkroom resume`; jobs in progress continue.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    act(typed, BatchAction.PAUSE)


@command
def resume(typed: Typed) -> None:
    """Resume paused batches.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are resumed.
    """
    act(typed, BatchAction.RESUME)


@command
def reprioritise(
    typed: Typed,
    to: Annotated[Priority | None, typer.Option("--to", help="The priority class of its jobs.")] = None,
    weight: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Its share of the class, relative to the other batches in it (1 is usual)."),
    ] = None,
) -> None:
    """Change the priority class or the weight of batches; it applies to their pending jobs at once.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are changed.
    """
    if to is None and weight is None:
        raise CliError("say what to change: --to interactive, refresh or bulk, or --weight N, or both", MISUSED)
    act(typed, BatchAction.REPRIORITISE, priority=to, weight=weight)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is meant: one batch by its name, or else a filter."""

    batch: str | None
    selection: Selection
    yes: bool
    dry_run: bool
    as_json: bool


def choice_of(typed: Typed) -> Choice:
    """Read it; raise CliError unless it is either one batch or a filter."""
    selection = Selection(
        owner=typed.owner,
        name=typed.name,
        purpose=typed.purpose,
        priority=typed.priority,
        since=instant("--since", typed.since),
        before=instant("--before", typed.before),
    )
    if (typed.batch is not None) + (not selection.is_empty) + typed.all_ != 1:
        raise CliError(
            "say which batches: one by its name, or a filter of --owner, --name, --purpose, --priority, --since and"
            " --before, or --all",
            MISUSED,
        )
    return Choice(batch=typed.batch, selection=selection, yes=typed.yes, dry_run=typed.dry_run, as_json=typed.as_json)


def instant(option: str, text: str | None) -> datetime | None:
    """Read an instant; a day stands for its beginning in UTC."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-30"):
            return datetime.combine(date.fromisoformat(text), time.min, UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(f"{option} {text!r} is not a time: write 2026-11-30 or 2026-11-30T18:00:00Z", MISUSED) from None
    if found.tzinfo is None:
        raise CliError(f"{option} {text!r} has no time zone: write {text}Z for UTC", MISUSED)
    return found
