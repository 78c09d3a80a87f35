"""`darkroom retry`: the failed jobs of a batch are asked for once more."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, signing, spending
from worker.cli.batches.bulk_commands import (
    AllOption,
    BatchArgument,
    BeforeFilter,
    DryRunOption,
    NameFilter,
    OwnerFilter,
    PriorityFilter,
    PurposeFilter,
    SinceFilter,
    YesOption,
    choose,
    read_selection,
)
from worker.cli.batches.limits import DeadlineOption
from worker.cli.errors import MISUSED, CliError
from worker.cli.spending import Consent
from worker.core.rules.states import BatchAction

if TYPE_CHECKING:
    from worker.batches.actions import RetryEffect
    from worker.cli.context import Context
    from worker.core.db.changes import Author


def retry(
    batch: BatchArgument = None,
    *,
    _failed: Annotated[
        bool, typer.Option("--failed", help="The jobs that failed; what the command does in any case.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="Only those that failed with this code.")] = None,
    deadline: DeadlineOption = None,
    max_credits: spending.MaxCreditsOption = None,
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
    """Retry failed jobs: download paid images again, render the others anew; shows the price first.

    A batch whose deadline has passed needs a new one. A filter is looked up once; the batches that it finds are shown
    with the price, and none costs more than was shown.
    """
    selection = read_selection(owner, name, purpose, priority, since=since, before=before)
    choice = choose(batch, selection, all_=all_, yes=yes, dry_run=dry_run, as_json=as_json)
    author = signing.author(by, reason)
    consent = Consent(yes=yes, max_credits=max_credits)
    if choice.batch is not None and not choice.dry_run:
        _retry_one(choice.batch, author, code, deadline, consent, as_json=choice.as_json)
        return
    from worker.batches.actions import Order
    from worker.cli.batches import bulk_run

    if deadline is not None:
        raise CliError("--deadline is for one batch: set those of several with `darkroom deadline`", MISUSED)
    bulk_run.run(choice, Order(action=BatchAction.RETRY, author=author, code=code), consent)


def _retry_one(
    batch: str, author: "Author", code: str | None, deadline: str | None, consent: Consent, *, as_json: bool
) -> None:
    from worker import wiring
    from worker.batches import control
    from worker.batches.control import NewDeadline
    from worker.cli import lookup
    from worker.cli.batches.limits import read_deadline
    from worker.cli.context import resolve
    from worker.cli.health import serving

    new = None if deadline is None else NewDeadline(at=read_deadline(deadline, now=author.now), author=author)
    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    effect = control.retry_failed(
        database,
        row.id,
        author,
        approve_above=context.settings.approve_above,
        code=code,
        deadline=new,
        agree=lambda price: _agrees(context, price, consent),
    )
    if effect is None:
        raise CliError("nothing was changed")
    if as_json:
        figures = {"jobs": effect.jobs, "credits": effect.credits, "recalled": effect.recalled}
        output.print_json({"batch": str(row.id), **figures, "left_out": effect.left_out})
        return
    output.answers().print(f"{_said(effect)}.")
    if effect.jobs + effect.recalled:
        serving.warn_without_node(context, database)
    if effect.left_out:
        output.notes().print(
            f"{output.plural(effect.left_out, 'job')} left out: the catalog no longer waits for their images."
        )
    if effect.erased:
        output.notes().print(f"{output.plural(effect.erased, 'job')} left out: what they ordered was erased.")
    if effect.is_paused:
        output.notes().print(f"The batch is paused: `darkroom resume {row.id}` lets them go on.", markup=False)


def _said(effect: "RetryEffect") -> str:
    said = []
    if effect.recalled:
        said.append(f"{output.plural(effect.recalled, 'paid image')} queued for download again, free of charge")
    if effect.jobs:
        said.append(f"{output.plural(effect.jobs, 'job')} queued again, for {output.plural(effect.credits, 'credit')}")
    return "; ".join(said) or "nothing to retry: no failed job matches"


def _agrees(context: "Context", price: "RetryEffect", consent: Consent) -> bool:
    if price.jobs == 0:
        return True
    free = f"{output.plural(price.recalled, 'paid image')} again free of charge; " if price.recalled else ""
    what = f"{free}{output.plural(price.jobs, 'job')} again"
    return spending.is_permitted(context, what, price.credits, consent)
