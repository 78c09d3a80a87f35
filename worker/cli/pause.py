"""`darkroom pause`: a batch, or those of a filter, are held back until they are resumed."""

from worker.cli import output, selecting, signing
from worker.domain.batch_state import BatchAction


def pause(  # noqa: PLR0917 - typer gives each by its name
    batch: selecting.BatchArgument = None,
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
    """Pause batches: nothing more is begun until `darkroom resume`; what is begun goes on.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are paused.
    """
    from worker.batch_choice import Order
    from worker.cli import batch_actions

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
    batch_actions.run(choice, Order(action=BatchAction.PAUSE, author=signing.author(by, reason)))
