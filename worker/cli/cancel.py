"""`darkroom cancel`: nothing more of a batch, or of those of a filter, is begun."""

from worker.cli import output, selecting, signing
from worker.domain.batch_state import BatchAction


def cancel(  # noqa: PLR0917 - typer gives each by its name
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
    """Cancel batches: what is not begun never will be; what the provider has is paid and brought home.

    A filter is looked up once; the batches that it finds are shown with the effect, and only they are cancelled.
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
    batch_actions.run(choice, Order(action=BatchAction.CANCEL, author=signing.author(by, reason)))
