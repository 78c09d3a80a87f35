"""`darkroom reprioritise`: a batch, or those of a filter, have their turn in another class or with another weight."""

from typing import Annotated

import typer

from worker.cli import output, selecting, signing
from worker.cli.errors import MISUSED, CliError
from worker.domain.batch_request import Priority
from worker.domain.batch_state import BatchAction


def reprioritise(  # noqa: PLR0917 - typer gives each by its name
    batch: selecting.BatchArgument = None,
    to: Annotated[Priority | None, typer.Option("--to", help="The class in which its jobs have their turn.")] = None,
    weight: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Its share beside the other batches of the class.")
    ] = None,
    owner: selecting.OwnerOption = None,
    name: selecting.NameOption = None,
    purpose: selecting.PurposeOption = None,
    priority: selecting.PriorityOption = None,
    since: selecting.SinceOption = None,
    before: selecting.BeforeOption = None,
    yes: selecting.YesOption = False,
    dry_run: selecting.DryRunOption = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Have the pending jobs of batches admitted in another class, or with another weight, from now on.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are changed.
    """
    from worker.batch_choice import Order
    from worker.cli import batch_actions

    if to is None and weight is None:
        raise CliError("say what to change: --to interactive, refresh or bulk, or --weight N, or both", MISUSED)
    choice = selecting.choice(
        batch,
        owner=owner,
        name=name,
        purpose=purpose,
        priority=priority,
        since=since,
        before=before,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
    order = Order(action=BatchAction.REPRIORITISE, author=signing.author(by, reason), priority=to, weight=weight)
    batch_actions.run(choice, order)
