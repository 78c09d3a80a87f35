"""`darkroom retry`: the failed jobs of a batch are asked for once more."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, signing, spending
from worker.cli.batches.deadline import DeadlineOption
from worker.cli.spending import Consent

if TYPE_CHECKING:
    from worker.batches.control import RetryEffect
    from worker.cli.context import Context


def retry(
    batch: output.BatchName,
    _failed: Annotated[
        bool, typer.Option("--failed", help="The jobs that failed; what the command does in any case.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="Only those that failed with this code.")] = None,
    deadline: DeadlineOption = None,
    yes: spending.YesOption = False,
    max_credits: spending.MaxCreditsOption = None,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Retry failed jobs: download paid images again, render the others anew; shows the price first.

    A batch whose deadline has passed needs a new one.
    """
    from worker import wiring
    from worker.batches import control
    from worker.batches.control import NewDeadline
    from worker.cli import lookup
    from worker.cli.batches.deadline import read
    from worker.cli.context import resolve
    from worker.cli.errors import CliError
    from worker.cli.health import serving

    author = signing.author(by, reason)
    new = None if deadline is None else NewDeadline(at=read(deadline, now=author.now), author=author)
    consent = Consent(yes=yes, max_credits=max_credits)
    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        row = lookup.batch(tx, batch)
    effect = control.retry_failed(
        database,
        row.id,
        now=author.now,
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
