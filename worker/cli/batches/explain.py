"""`darkroom explain`: whether a job or a batch waits, and for what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from worker.batches.rules.explaining import Explanation
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
    """Say where a job or a batch stands, why, what happens next and when, and what you can do."""
    from worker import wiring
    from worker.batches import explaining
    from worker.cli.context import opened
    from worker.node.queries import nodes

    context, database = opened()
    floor = context.settings.wallet_floor
    with database.transaction() as tx:
        alive, now = nodes.count_alive(tx), wiring.clock()
        job_id, batch = _find(tx, target, key)
        if job_id is not None:
            found = explaining.explain_job(tx, job_id, nodes=alive, now=now, wallet_floor=floor)
        else:
            assert batch is not None
            found = explaining.explain_batch(tx, batch, nodes=alive, now=now, wallet_floor=floor)
    assert found is not None
    if as_json:
        output.print_json(explaining.as_json(found))
    else:
        _print(found)


def _find(tx: "Connection", target: str, key: str | None) -> "tuple[UUID | None, BatchRow | None]":
    """Return the job that is meant, or the batch; raise CliError when there is neither."""
    from worker.audit.queries import journal
    from worker.batches.queries import explaining as queries
    from worker.cli import lookup
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    if key is None and (job_id := journal.find_job(tx, target)) is not None:
        return job_id, None
    batch = lookup.batch(tx, target)
    if key is None:
        return None, batch
    job_id = queries.by_key(tx, batch.id, key)
    if job_id is None:
        raise CliError(f"batch {batch.id} has no job {plain(key)!r}: `darkroom results {batch.id}` lists its keys")
    return job_id, None


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
