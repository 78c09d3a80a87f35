"""`darkroom correct`: a person puts right what a generation that has ended is booked to have cost."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.audit.correct import Correction
    from worker.core.db.session import Database

_PREFIX_MIN = 8


def correct(
    generation: Annotated[
        str,
        typer.Argument(metavar="GENERATION", help="Its id or the beginning of it, its key, or the provider's id."),
    ],
    spent: Annotated[
        int, typer.Option("--spent", metavar="N", min=0, max=2**31 - 1, help="What it has really cost, in all.")
    ],
    over: signing.OverOption = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides. Required.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why. Required.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Correct the cost of an ended generation; the entry carries your name and reason.

    It may be done again: an entry that was wrong stays, and the next one puts it right.
    """
    from worker import wiring
    from worker.audit import correct as service
    from worker.audit.rules.dispute_decision import NotEnded, Signature
    from worker.cli.context import resolve as find_context
    from worker.cli.errors import CliError

    name, why = signing.required(by, reason)
    signature = Signature(actor=name, reason=why)
    database = wiring.database(find_context().settings, connections=1)
    chosen = _chosen(database, generation)
    try:
        found = signing.with_consent(
            lambda may_exceed: service.correct(
                database,
                chosen,
                spent,
                signature,
                change_id=wiring.new_id(),
                now=wiring.clock(),
                may_exceed=may_exceed,
            ),
            over=over,
        )
    except NotEnded as error:
        raise CliError(str(error)) from None
    _answer(found, as_json=as_json)


def _chosen(database: "Database", name: str) -> UUID:
    """Return the one generation that is meant."""
    from worker.audit.queries import ended
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    with database.transaction() as tx:
        found = ended.find(tx, name) if len(name.strip()) >= _PREFIX_MIN else []
    if not found:
        raise CliError(f"no generation begins with {plain(name)!r}: `darkroom audit job JOB` lists those of a job")
    if len(found) > 1:
        shown = ", ".join(str(each) for each in found)
        raise CliError(f"{plain(name)!r} may be {shown}: give more of the id")
    return found[0]


def _answer(found: "Correction", *, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "generation": str(found.before.generation_id),
                "job": str(found.before.job_id),
                "batch": str(found.before.batch_id),
                "generation_state": found.before.state.value,
                "spent_before": found.before.spent,
                "spent": found.spent,
                "entries": signing.shown(found.movements),
            }
        )
        return
    text = f"generation {found.before.generation_id} ({found.before.state}), job {found.before.key}: "
    text += f"{found.before.spent:,} spent before, {found.spent:,} now"
    output.answers().print(text, markup=False)
    signing.print_entries(found.movements)
