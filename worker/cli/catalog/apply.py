"""`darkroom catalog apply`, `approve`, `refuse`: a plan becomes a batch, after an approval where one is needed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, spending

if TYPE_CHECKING:
    from worker.catalog.applying import Applied
    from worker.cli.context import Context
    from worker.core.db.session import Database


def apply(
    plan: output.PlanName,
    yes: spending.YesOption = False,
    max_credits: spending.MaxCreditsOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Render what a plan lists, once; refused when the catalog has changed since the plan was made."""
    from worker import wiring
    from worker.catalog import applying
    from worker.cli.catalog import lookup
    from worker.cli.errors import CliError

    context, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.plan(tx, plan)
    what = f"Plan {row.id}, {output.plural(len(row.document['renders']), 'image')}"
    is_new = row.applied_at is None and row.refused_at is None and not row.is_waiting
    consent = spending.Consent(yes=yes, max_credits=max_credits)
    if is_new and not spending.is_permitted(context, what, row.price, consent):
        raise CliError("nothing was spent")
    account_id = wiring.account(context.settings, database)
    done = applying.apply(database, row.id, account_id=account_id, now=wiring.clock(), new_id=wiring.new_id)
    if as_json:
        output.print_json(_as_json(done))
    else:
        say(context, database, done, plan)


def approve(
    plan: output.PlanName,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who approves it.")],
    as_json: output.AsJson = False,
) -> None:
    """Approve a plan; above the recipe's threshold, the approver must not be its author."""
    from worker import wiring
    from worker.catalog import approving
    from worker.cli import signing
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.plan(tx, plan)
    found = approving.approve(database, row.id, by=signing.actor(by), now=wiring.clock())
    if as_json:
        approved_at = found.approved_at.isoformat() if found.approved_at else None
        output.print_json({"plan": str(found.id), "approved_by": found.approved_by, "approved_at": approved_at})
        return
    price = output.plural(found.price, "credit")
    text = f"{found.approved_by} approves the plan of {price}: `darkroom catalog apply {plan}` renders it."
    output.answers().print(text, markup=False)


def refuse(
    plan: output.PlanName,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who rejects it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the plan.")],
    as_json: output.AsJson = False,
) -> None:
    """Reject a plan: it can no longer be approved or applied, and a run that waits for it ends."""
    from worker import wiring
    from worker.catalog import approving
    from worker.cli import signing
    from worker.cli.catalog import lookup

    _, database = lookup.opened()
    with database.transaction() as tx:
        row = lookup.plan(tx, plan)
    found = approving.refuse(database, row.id, by=signing.actor(by), reason=signing.text(reason), now=wiring.clock())
    if as_json:
        output.print_json({"plan": str(found.id), "refused_by": found.refused_by, "reason": found.refused_reason})
        return
    output.answers().print(f"{found.refused_by} refuses the plan: {found.refused_reason}", markup=False)


def _as_json(done: "Applied") -> dict[str, Any]:
    return {
        "plan": str(done.plan_id),
        "batch": str(done.batch_id) if done.batch_id else None,
        "jobs": done.jobs,
        "credits": done.credits,
        "is_new": done.is_new,
        "is_sample": done.is_sample,
    }


def say(context: "Context", database: "Database", done: "Applied", plan: str) -> None:
    """Print the outcome of applying a plan, and the next step."""
    from worker.cli.health import serving

    console = output.answers()
    if done.batch_id is None:
        console.print("Nothing to render; nothing was spent.")
        return
    size = f"{output.plural(done.jobs, 'job')}, {output.credits_of(done.credits, is_play=context.is_play)}"
    if not done.is_new:
        console.print(f"This plan is batch {done.batch_id} already ({size}); nothing was added.", markup=False)
    elif context.is_play:
        console.print(f"batch {done.batch_id}: {size}, which cost nothing.", markup=False)
    else:
        console.print(f"batch {done.batch_id}: {size}, paid at {context.settings.base_url}.", markup=False)
    console.print(f"Follow it with `darkroom watch {done.batch_id}`.", markup=False)
    if done.is_sample:
        then = f"`darkroom catalog approve {plan} --by NAME`, and apply the plan again for the rest."
        console.print(f"This was the sample. Review it, then {then}", markup=False)
    serving.warn_without_node(context, database)
