"""`darkroom explain`: whether a job or a batch waits, and for what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from uuid import UUID

    from worker.archive.reading import ArchiveReader
    from worker.batches.rules.explaining import Explanation
    from worker.core.db.session import Database
    from worker.engine.queries.batches import BatchRow

_COLOURS = {"ended": "green", "working": "cyan", "waiting": "yellow", "needs_action": "red"}


def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="JOB|BATCH",
            help="A job or a generation by its id or the provider's; else a batch by its id, token or name.",
        ),
    ],
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of a job in that batch.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Say where a job or a batch stands, why, what happens next and when, and what you can do.

    A job of an archived batch is read from the files of that batch in the store; it takes the job's id, or the batch
    and a key.
    """
    from worker import wiring
    from worker.archive import jobs
    from worker.batches import explaining
    from worker.cli.context import opened
    from worker.node.queries import nodes

    context, database = opened()
    floor = context.settings.wallet_floor
    archive = wiring.archive(context.settings, database)
    job_id, batch = _find(database, archive, target, key)
    now = wiring.clock()
    if batch is not None:
        with database.transaction() as tx:
            alive = nodes.count_alive(tx)
            found = explaining.explain_batch(tx, batch, nodes=alive, now=now, wallet_floor=floor)
    else:
        assert job_id is not None
        with jobs.seeing(database, archive, job_id) as tx:
            alive = nodes.count_alive(tx)
            said = explaining.explain_job(tx, job_id, nodes=alive, now=now, wallet_floor=floor)
        if said is None:
            raise _nothing(target)
        found = said
    if as_json:
        output.print_json(explaining.as_json(found))
    else:
        _print(found)


def _find(
    database: "Database", archive: "ArchiveReader", target: str, key: str | None
) -> "tuple[UUID | None, BatchRow | None]":
    """Return the job that is meant, or the batch; raise CliError when there is neither."""
    from worker.archive import jobs
    from worker.archive.queries import archived
    from worker.audit.queries import journal
    from worker.batches.queries import explaining as queries
    from worker.batches.queries import overview
    from worker.cli import lookup
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    with database.transaction() as tx:
        if key is None and (job_id := journal.find_job(tx, target)) is not None:
            return job_id, None
        if key is None and (job_id := _id(target)) is not None and not overview.find(tx, target):
            # Only the files of parts that may have the job are named by this; whether they do is read later.
            if archived.files_of_job(tx, job_id):
                return job_id, None
            if archived.count(tx):
                raise _nothing(target)
        batch = lookup.batch(tx, target)
        if key is None:
            return None, batch
        job_id = queries.by_key(tx, batch.id, key)
        is_archived = archived.is_archived(tx, batch.id)
    if job_id is None and is_archived:
        job_id = jobs.by_key(database, archive, batch.id, key)
    if job_id is None:
        raise CliError(f"batch {batch.id} has no job {plain(key)!r}: `darkroom results {batch.id}` lists its keys")
    return job_id, None


def _id(target: str) -> "UUID | None":
    from uuid import UUID

    try:
        return UUID(target)
    except ValueError:
        return None


def _nothing(target: str) -> Exception:
    """Return that nothing has this id where batches are archived."""
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    return CliError(
        f"there is no job, generation or batch {plain(target)!r}; generations that are archived are found by"
        f" `darkroom audit job {plain(target)}`, which reads the archive"
    )


def _print(found: "Explanation") -> None:
    from rich.text import Text

    lines: dict[str, Any] = {
        "state": Text(f"{found.state.replace('_', ' ')}: {found.verdict.words}", style=_COLOURS[found.verdict]),
        "why": Text(found.why),
    }
    if found.next:
        at = "" if found.next_at is None else f", {found.next_at:%Y-%m-%d %H:%M:%S} UTC"
        lines["next"] = Text(found.next + at)
    lines["what to do"] = Text(found.to_do or "nothing")
    output.answers().print(output.grid(lines))
