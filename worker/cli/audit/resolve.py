"""`darkroom resolve`, `correct`: a person decides about a generation in doubt, or puts an ended one right."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.audit.resolve import Resolution
    from worker.audit.rules.dispute_decision import Signature
    from worker.core.db.session import Database
    from worker.settings import Settings
_PREFIX_MIN = 8


def resolve(
    generation: Annotated[
        str, typer.Argument(metavar="GENERATION", help="Its id, or the beginning of it, as `audit in-doubt` shows it.")
    ],
    *,
    adopt: Annotated[
        str | None,
        typer.Option("--adopt", metavar="TASK_ID", help="It is this task at the provider: follow that task."),
    ] = None,
    charged: Annotated[
        int | None,
        typer.Option("--charged", metavar="N", min=1, max=2**31 - 1, help="N credits were charged, and no image came."),
    ] = None,
    not_charged: Annotated[bool, typer.Option("--not-charged", help="Nothing was charged.")] = False,
    over: signing.OverOption = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Adopt the task although it was created while no request of this generation was sent."
        ),
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides. Required.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why. Required.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Resolve a generation in doubt; the entries carry your name and reason.

    After --not-charged and --charged the job has failed, and `darkroom retry BATCH` renders it anew.
    """
    from worker import wiring
    from worker.audit.rules.dispute_decision import Signature
    from worker.cli.context import resolve as find_context
    from worker.cli.errors import MISUSED, CliError

    if sum((adopt is not None, charged is not None, not_charged)) != 1:
        raise CliError("choose one: --adopt TASK_ID, --charged N or --not-charged", MISUSED)
    name, why = signing.required(by, reason)
    signature = Signature(actor=name, reason=why)
    settings = find_context().settings
    database = wiring.database(settings, connections=1)
    chosen = _chosen(database, generation)
    if adopt is not None:
        found = _adopt(settings, chosen, adopt.strip(), signature, force=force)
    else:
        found = signing.with_consent(
            lambda may_exceed: _correct(settings, database, chosen, charged, signature, may_exceed=may_exceed),
            over=over,
        )
    _answer(found, as_json=as_json)


def _chosen(database: "Database", name: str) -> UUID:
    """Return the one generation that is meant; an id in full may also be of one that is not in doubt any more."""
    from worker.audit.queries import in_doubt
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    try:
        return UUID(name.strip().removeprefix("darkroom-"))
    except ValueError:
        pass
    with database.transaction() as tx:
        found = in_doubt.find(tx, name) if len(name.strip()) >= _PREFIX_MIN else []
    if len(found) == 1:
        return found[0].generation_id
    if found:
        shown = ", ".join(str(each.generation_id) for each in found)
        raise CliError(f"{plain(name)!r} may be {shown}: give more characters of the id")
    raise CliError(f"no generation in doubt begins with {plain(name)!r}: `darkroom audit in-doubt` lists them")


def _adopt(
    settings: "Settings", generation_id: UUID, task: str, signature: "Signature", *, force: bool
) -> "Resolution":
    from worker import wiring
    from worker.audit import resolve

    services = wiring.services(settings, is_node=False)
    return resolve.adopt(services, generation_id, task, signature, may_be_misdated=force)


def _correct(
    settings: "Settings",
    database: "Database",
    generation_id: UUID,
    charged: int | None,
    signature: "Signature",
    *,
    may_exceed: bool,
) -> "Resolution":
    from worker import wiring
    from worker.audit import resolve

    above, now = settings.approve_above, wiring.clock()
    if charged is None:
        return resolve.not_charged(
            database, generation_id, signature, new_id=wiring.new_id, now=now, approve_above=above
        )
    return resolve.charged(
        database,
        generation_id,
        charged,
        signature,
        new_id=wiring.new_id,
        now=now,
        approve_above=above,
        may_exceed=may_exceed,
    )


def _answer(found: "Resolution", *, as_json: bool) -> None:
    entries = signing.shown(found.movements)
    if as_json:
        output.print_json(
            {
                "generation": str(found.doubt.generation_id),
                "job": str(found.doubt.job_id),
                "batch": str(found.doubt.batch_id),
                "generation_state": found.generation_state.value,
                "job_state": found.job_state.value,
                "status": found.status.value if found.status else None,
                "entries": entries,
            }
        )
        return
    console = output.answers()
    status = f" (the provider says {found.status})" if found.status else ""
    text = f"generation {found.doubt.generation_id}: {found.generation_state}{status}; job {found.doubt.key}: "
    console.print(text + found.job_state.value, markup=False)
    signing.print_entries(found.movements)


if TYPE_CHECKING:
    from worker.audit.correct import Correction
    from worker.core.db.session import Database


def correct(
    generation: Annotated[
        str,
        typer.Argument(metavar="GENERATION", help="Its id or the beginning of it, its key, or the provider's id."),
    ],
    spent: Annotated[
        int, typer.Option("--spent", metavar="N", min=0, max=2**31 - 1, help="What it really cost in total.")
    ],
    over: signing.OverOption = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides. Required.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why. Required.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Correct the cost of an ended generation; the entry carries your name and reason.

    It can be repeated: a wrong entry stays, and a later one corrects it.
    """
    from worker import wiring
    from worker.audit import correct as service
    from worker.audit.rules.dispute_decision import Signature
    from worker.cli.context import resolve as find_context

    name, why = signing.required(by, reason)
    signature = Signature(actor=name, reason=why)
    settings = find_context().settings
    database = wiring.database(settings, connections=1)
    chosen = _chosen_correction(database, generation)
    found = signing.with_consent(
        lambda may_exceed: service.correct(
            database,
            chosen,
            spent,
            signature,
            new_id=wiring.new_id,
            now=wiring.clock(),
            approve_above=settings.approve_above,
            may_exceed=may_exceed,
        ),
        over=over,
    )
    _correction_answer(found, as_json=as_json)


def _chosen_correction(database: "Database", name: str) -> UUID:
    """Return the one generation that is meant."""
    from worker.audit.queries import in_doubt
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    with database.transaction() as tx:
        found = in_doubt.find_ended(tx, name) if len(name.strip()) >= _PREFIX_MIN else []
    if not found:
        raise CliError(f"no generation begins with {plain(name)!r}: `darkroom audit job JOB` lists those of a job")
    if len(found) > 1:
        shown = ", ".join(str(each) for each in found)
        raise CliError(f"{plain(name)!r} may be {shown}: give more characters of the id")
    return found[0]


def _correction_answer(found: "Correction", *, as_json: bool) -> None:
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
