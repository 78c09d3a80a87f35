"""`darkroom cancel`, `pause`, `resume`, `reprioritise`: an action on one batch, or on those that a filter matches."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from worker.batches.rules.bulk_operation import Selection
from worker.cli import output, signing
from worker.cli.errors import MISUSED, CliError
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.states import BatchAction

BatchArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name. Or give a filter."
    ),
]
OwnerFilter = Annotated[str | None, typer.Option(help="Filter: batches of this owner.")]
NameFilter = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Filter: by name; * stands for any characters, ? for one.")
]
PurposeFilter = Annotated[Purpose | None, typer.Option(help="Filter: batches of this purpose.")]
PriorityFilter = Annotated[Priority | None, typer.Option(help="Filter: batches of this class.")]
SinceFilter = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Filter: submitted then or later: 2026-11-30, or 2026-11-30T18:00:00Z."),
]
BeforeFilter = Annotated[str | None, typer.Option(metavar="WHEN", help="Filter: submitted before.")]
AllOption = Annotated[bool, typer.Option("--all", help="All batches, instead of a filter.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="With a filter: do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show which batches, and the effect.")]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The selection: one batch by its name, or a filter."""

    batch: str | None
    selection: Selection
    yes: bool
    dry_run: bool
    as_json: bool


def cancel(
    batch: BatchArgument = None,
    *,
    owner: OwnerFilter = None,
    name: NameFilter = None,
    purpose: PurposeFilter = None,
    priority: PriorityFilter = None,
    since: SinceFilter = None,
    before: BeforeFilter = None,
    all_: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Cancel batches: unsent jobs are dropped; generations at the provider are paid for and downloaded.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are cancelled.
    """
    selection = read_selection(owner, name, purpose, priority, since=since, before=before)
    choice = choose(batch, selection, all_=all_, yes=yes, dry_run=dry_run, as_json=as_json)
    _act(choice, BatchAction.CANCEL, by, reason)


def pause(
    batch: BatchArgument = None,
    *,
    owner: OwnerFilter = None,
    name: NameFilter = None,
    purpose: PurposeFilter = None,
    priority: PriorityFilter = None,
    since: SinceFilter = None,
    before: BeforeFilter = None,
    all_: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Pause batches: no further job starts until `darkroom resume`; jobs in progress continue.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    selection = read_selection(owner, name, purpose, priority, since=since, before=before)
    choice = choose(batch, selection, all_=all_, yes=yes, dry_run=dry_run, as_json=as_json)
    _act(choice, BatchAction.PAUSE, by, reason)


def resume(
    batch: BatchArgument = None,
    *,
    owner: OwnerFilter = None,
    name: NameFilter = None,
    purpose: PurposeFilter = None,
    priority: PriorityFilter = None,
    since: SinceFilter = None,
    before: BeforeFilter = None,
    all_: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Resume paused batches.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are resumed.
    """
    selection = read_selection(owner, name, purpose, priority, since=since, before=before)
    choice = choose(batch, selection, all_=all_, yes=yes, dry_run=dry_run, as_json=as_json)
    _act(choice, BatchAction.RESUME, by, reason)


def reprioritise(
    batch: BatchArgument = None,
    *,
    to: Annotated[Priority | None, typer.Option("--to", help="The priority class of its jobs.")] = None,
    weight: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Its share of the class, relative to the other batches in it (1 is usual)."),
    ] = None,
    owner: OwnerFilter = None,
    name: NameFilter = None,
    purpose: PurposeFilter = None,
    priority: PriorityFilter = None,
    since: SinceFilter = None,
    before: BeforeFilter = None,
    all_: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Change the priority class or the weight of batches; it applies to their pending jobs at once.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are changed.
    """
    if to is None and weight is None:
        raise CliError("say what to change: --to interactive, refresh or bulk, or --weight N, or both", MISUSED)
    selection = read_selection(owner, name, purpose, priority, since=since, before=before)
    choice = choose(batch, selection, all_=all_, yes=yes, dry_run=dry_run, as_json=as_json)
    _act(choice, BatchAction.REPRIORITISE, by, reason, priority=to, weight=weight)


def read_selection(
    owner: str | None,
    name: str | None,
    purpose: Purpose | None,
    priority: Priority | None,
    *,
    since: str | None,
    before: str | None,
) -> Selection:
    """Return the filter that was given; raise CliError for a time that cannot be read."""
    return Selection(
        owner=owner,
        name=name,
        purpose=purpose,
        priority=priority,
        since=instant("--since", since),
        before=instant("--before", before),
    )


def choose(batch: str | None, selection: Selection, *, all_: bool, yes: bool, dry_run: bool, as_json: bool) -> Choice:
    """Return the selection; raise CliError unless it is exactly one of a batch, a filter and all batches."""
    if (batch is not None) + (not selection.is_empty) + all_ != 1:
        raise CliError(
            "say which batches: one by its name, or a filter of --owner, --name, --purpose, --priority, --since and"
            " --before, or --all",
            MISUSED,
        )
    return Choice(batch=batch, selection=selection, yes=yes, dry_run=dry_run, as_json=as_json)


def _act(
    choice: Choice,
    action: BatchAction,
    by: str | None,
    reason: str | None,
    *,
    priority: Priority | None = None,
    weight: int | None = None,
) -> None:
    """Do it to the batch that is named, or to those of the filter once their list and the effect are agreed to."""
    from worker.batches.actions import Order
    from worker.cli.batches import bulk_run

    author = signing.author(by, reason)
    bulk_run.run(choice, Order(action=action, author=author, priority=priority, weight=weight))


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
