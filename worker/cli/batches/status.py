"""`darkroom status`: the newest batches, or one batch in full."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.core.rules.states import JobState

if TYPE_CHECKING:
    from worker.accounts.queries.pools import Payer
    from worker.batches.queries.failed_jobs import FailureGroup
    from worker.batches.queries.overview import Overview
    from worker.core.db.session import Database
    from worker.core.rules.fault import Fault
    from worker.engine.queries.batches import BatchRow

_FAULTS_SHOWN = 20
_ALWAYS = (0, 1, 8)
"""The figures of the list that are shown although they are 0: done, of, and spent."""


class State(StrEnum):
    """Which batches the list has: by where they stand, as it shows it, or by their jobs."""

    OPEN = "open"
    """Unfinished: running, waiting or paused."""
    FAILED = "failed"
    """With jobs that failed, wherever the batch stands."""
    IN_DOUBT = "in-doubt"
    """With jobs in doubt, wherever the batch stands."""
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"


_STATE_HELP = "List: only batches in this state; open: not ended yet; failed, in-doubt: with such jobs."
_WITH_JOBS = {State.FAILED: JobState.FAILED, State.IN_DOUBT: JobState.IN_DOUBT}

Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many batches the list has at most.")]
StateOption = Annotated[State | None, typer.Option(help=_STATE_HELP)]
OwnerOption = Annotated[str | None, typer.Option(help="List: only batches of this owner.")]
TokenOption = Annotated[str | None, typer.Option(help="List: only the batch with this token.")]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which batches the list is to have."""

    limit: int
    state: State | None
    owner: str | None
    token: str | None


def status(
    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="[BATCH]", help="A batch: its id, the beginning of its id, its token or its name. Without: a list."
        ),
    ] = None,
    limit: Limit = 20,
    state: StateOption = None,
    owner: OwnerOption = None,
    token: TokenOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Show the newest batches, or where one batch stands."""
    from worker.accounts import opening
    from worker.cli.context import resolve
    from worker.cli.health import serving

    context = resolve()
    database = opening.database(context.settings, connections=1)
    if batch is None:
        asked = Asked(limit=limit, state=state, owner=owner, token=token)
        found = _show_list(database, asked, as_json=as_json)
    else:
        found = [_show_one(database, batch, as_json=as_json)]
    if not as_json and any(each.is_open for each in found):
        serving.warn_without_node(context, database)
    _note_what_waits(database)


def _note_what_waits(database: "Database") -> None:
    """Print what keeps nodes from their work, and messages that are no batch yet, to standard error."""
    from worker.cli.health import serving
    from worker.engine.queries import maintenance
    from worker.intake.queries import messages

    with database.transaction() as tx:
        said = [each.said for each in serving.of_running(tx)]
        said += [f"maintenance {each.kind}: {each.error or 'does not end'}" for each in maintenance.failing(tx)]
        waiting = messages.count_waiting(tx)
    for each in said:
        output.notes().print(f"{each}; `darkroom doctor` says more", style="yellow", markup=False)
    if waiting.messages:
        output.notes().print(f"messages of producers: {waiting}", markup=False)


def ls(
    limit: Limit = 20,
    state: StateOption = None,
    owner: OwnerOption = None,
    token: TokenOption = None,
    as_json: output.AsJson = False,
) -> None:
    """List the newest batches, as `darkroom status` without a batch does."""
    status(None, limit, state, owner, token, as_json)


def _show_list(database: "Database", asked: Asked, *, as_json: bool) -> "list[Overview]":
    from worker.batches import views

    found = list(islice(_matching(database, asked), asked.limit))
    if as_json:
        output.print_json([views.batch(each) for each in found])
    elif found:
        output.answers().print(_list(found))
    elif asked.state or asked.owner or asked.token:
        output.answers().print("No batch matches.")
    else:
        output.answers().print("There is no batch yet: `darkroom submit MANIFEST` creates one.", markup=False)
    return found


def _matching(database: "Database", asked: Asked) -> "Iterator[Overview]":
    """Look at one batch after the other, the newest first: the state of each is found out by the look."""
    from worker.cli.lookup import overview_of
    from worker.engine.queries import batches

    rows: list[BatchRow] = []
    while True:
        after = rows[-1].place if rows else None
        with database.transaction() as tx:
            rows = batches.newest(tx, limit=asked.limit, owner=asked.owner, token=asked.token, after=after)
        found = (overview_of(database, row) for row in rows)
        yield from (each for each in found if _has_state(each, asked.state))
        if len(rows) < asked.limit:
            return


def _has_state(found: "Overview", state: State | None) -> bool:
    if state is None:
        return True
    if state is State.OPEN:
        return found.state in {State.RUNNING, State.WAITING, State.PAUSED}
    if state in _WITH_JOBS:
        return found.jobs[_WITH_JOBS[state]] > 0
    return found.state == state


def _list(found: "list[Overview]") -> Any:
    numbers = ("done", "of", "failed", "cancelled", "in doubt", "open", "held", "reserved", "spent", "not downloaded")
    table = output.table(
        "name", "batch", "state", *numbers, "submitted",
        numbers=numbers,
        whole=("batch", "submitted"),
        details=("submitted", "batch", "not downloaded", "cancelled", "reserved", "held", "in doubt", "open", "failed"),
    )  # fmt: skip
    for each in found:
        counts = (
            each.jobs[JobState.SUCCEEDED],
            each.batch.size,
            each.jobs[JobState.FAILED],
            each.jobs[JobState.CANCELLED],
            each.jobs[JobState.IN_DOUBT],
            each.batch.size - each.ended,
            each.held,
            each.reserved,
            each.spent,
            each.not_downloaded.count,
        )
        figures = [f"{count:,}" if count or at in _ALWAYS else "" for at, count in enumerate(counts)]
        table.add_row(
            each.batch.name,
            output.short_id(each.batch.id),
            _coloured(each),
            *figures,
            f"{each.batch.created_at:%Y-%m-%d %H:%M}",
        )
    return table


def _show_one(database: "Database", name: str, *, as_json: bool) -> "Overview":
    from worker.accounts.queries import pools
    from worker.archive.queries import archived
    from worker.batches import views
    from worker.batches.queries import failed_jobs
    from worker.cli import lookup
    from worker.cli.health import serving
    from worker.engine.queries import batches

    with database.transaction() as tx:
        row = lookup.batch(tx, name)
        moved = archived.of_batch(tx, row.id)
        faults = batches.faults(tx, row.id)
        failures = failed_jobs.by_code(tx, row.id)
    found = lookup.overview_of(database, row)
    with database.transaction() as tx:
        paying = pools.payers_of_batch(tx, row.id, spent=found.spent)
    if as_json:
        refused = [views.fault(fault) for fault in faults]
        reasons = {"failures": [vars(each) for each in failures], "faults": refused}
        reasons["accounts"] = [vars(each) for each in paying]
        at = None if moved is None else moved.archived_at.isoformat()
        where = None if moved is None else moved.folder
        archive = {"archived_at": at, "archive_folder": where}
        output.print_json(views.batch(found) | reasons | {"nodes": serving.count(database)} | archive)
    else:
        _print_one(found, failures, faults, paying)
        if moved is not None:
            said = (
                f"archived on {moved.archived_at:%Y-%m-%d} into {moved.folder} of the store"
                f" ({output.plural(moved.files, 'file')}, {moved.size_bytes:,} bytes): `darkroom results {row.id}`"
                f" reads its lines, `darkroom explain {row.id} KEY` one of them"
            )
            output.answers().print(said, markup=False)
    return found


def _print_one(
    found: "Overview", failures: "list[FailureGroup]", faults: "list[Fault]", paying: "Sequence[Payer]"
) -> None:
    from rich.text import Text

    row = found.batch
    cap = "no cap" if row.credit_cap is None else f"cap {row.credit_cap:,}"
    lines: dict[str, Any] = {
        "batch": str(row.id),
        "name": Text(row.name),
        "state": _coloured(found),
        "jobs": _counts(found),
        "credits": f"held {found.held:,}, reserved {found.reserved:,}, spent {found.spent:,} ({cap})",
        "owner": Text(f"{row.owner}, {row.purpose}, priority {row.priority}"),
        "token": Text(row.token),
        "submitted": f"{row.created_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    if row.pool is not None:
        spent = ", ".join(f"{each.account} {each.spent:,}" for each in paying)
        lines["pool"] = Text(f"{row.pool}; spent by {spent}")
    if row.deadline_at is not None:
        lines["deadline"] = f"{row.deadline_at:%Y-%m-%d %H:%M:%S} UTC"
    lines |= _attention(found)
    console = output.answers()
    console.print(output.grid(lines))
    if failures:
        _print_failures(failures, str(row.id))
    if faults:
        console.print(f"\n{output.plural(len(faults), 'fault')} in invalid lines:")
        for fault in faults[:_FAULTS_SHOWN]:
            console.print(f"  {fault}", markup=False)
        if len(faults) > _FAULTS_SHOWN:
            console.print("  ... `darkroom results` has all of them", markup=False)


def _attention(found: "Overview") -> dict[str, Any]:
    """What keeps the batch from its images, and what a person can do about it."""
    from rich.text import Text

    lines: dict[str, Any] = {}
    if found.not_downloaded.since is not None:
        lines["not downloaded"] = Text(_not_downloaded(found), style="yellow")
    if found.download_step:
        lines["what to do"] = Text(found.download_step)
    if found.not_as_ordered:
        lines["not as ordered"] = Text("\n".join(map(str, found.not_as_ordered)), style="yellow")
    if found.obstacle and not _is_said(found):
        lines["waits for"] = Text(found.obstacle.reason, style="yellow")
        lines["next step"] = Text(found.obstacle.next_step)
    if found.jobs[JobState.IN_DOUBT]:
        doubts = output.plural(found.jobs[JobState.IN_DOUBT], "job")
        lines["in doubt"] = Text(
            f"{doubts}: `darkroom audit in-doubt` shows the evidence, `darkroom resolve` ends them", style="yellow"
        )
    return lines


def _print_failures(failures: "list[FailureGroup]", batch: str) -> None:
    console = output.answers()
    table = output.table("failed", "code", "for example", "message", numbers=("failed",), details=("message",))
    for each in failures:
        table.add_row(f"{each.jobs:,}", each.code, each.key, each.message or "")
    console.print()
    console.print(table)
    console.print(f"Retry them with `darkroom retry {batch}`, or those of one code with --code CODE.", markup=False)


def _not_downloaded(found: "Overview") -> str:
    images = output.plural(found.not_downloaded.count, "paid image")
    said = f"{images}, the oldest since {found.not_downloaded.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{said}; {found.not_downloaded.why or 'not tried yet, or in progress'}"


def _is_said(found: "Overview") -> bool:
    """Whether what the batch waits for is that its paid images are downloaded."""
    error = found.not_downloaded.error
    return found.obstacle is not None and error is not None and error in found.obstacle.reason


def _counts(found: "Overview") -> str:
    parts = [f"{count:,} {state.value.replace('_', ' ')}" for state, count in found.jobs.items() if count]
    return ", ".join(parts) or "none"


def _coloured(found: "Overview") -> Any:
    from rich.text import Text

    colours = {"done": "red" if found.lacking else "green", "running": "cyan", "waiting": "yellow", "paused": "yellow"}
    return Text(found.state, style=colours.get(found.state, "red"))
