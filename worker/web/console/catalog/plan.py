"""A plan of a catalog: what it would render and why, what it costs, and the people who agree, refuse and apply."""

from collections.abc import Mapping
from uuid import UUID

from starlette.responses import Response

from worker.catalog import applying, approving, planning
from worker.catalog.queries import catalogs, plans
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.fields import lines, whole
from worker.web.console.page import Visit
from worker.web.problems import Problem

_SHOWN = 200
_DAYS_MOST = 36_500
"""As the command has it."""


def make(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Plan the refresh of a catalog, and lead to the plan; nothing is spent."""
    by = visit.context.author(visit.who)
    older = whole(fields, "older_than", "Older than", least=1, most=_DAYS_MOST)
    cap, sample = whole(fields, "cap", "Most credits"), whole(fields, "sample", "Sample", least=1)
    with visit.context.database.transaction() as tx:
        catalog = catalogs.by_name(tx, visit.request.path_params["name"])
        if catalog is None:
            raise not_found("catalog")
        above = visit.context.settings.approve_above
        made = planning.make(
            tx,
            catalog,
            plan_id=by.new_id(),
            by=by.actor,
            now=by.now,
            forced=lines(fields, "force"),
            older_than_days=older,
            credit_cap=cap,
            sample=sample,
            approve_above=above,
        )
        planning.save(tx, made)
    return _to(visit, made.id)


def show(visit: Visit) -> Response:
    """Show the plan with its first images."""
    with visit.context.database.transaction() as tx:
        row = plans.by_id(tx, _id(visit))
        if row is None:
            raise not_found("plan")
        catalog = catalogs.name_of(tx, row.catalog_id)
    renders, kept = row.document["renders"], row.document.get("keeps", {})
    begin = min(whole(visit.request.query_params, "from", "From") or 0, max(0, len(renders) - 1))
    return visit.render(
        "catalog/plan.html",
        plan=row,
        catalog=catalog,
        options=planning.read_options(row.document),
        renders=renders[begin : begin + _SHOWN],
        begin=begin,
        size=_SHOWN,
        count=len(renders),
        kept=[(reason, len(skus)) for reason, skus in kept.items()],
        is_open=row.applied_at is None and row.refused_at is None,
        is_sample=row.sample is not None and row.sampled_at is None,
    )


def approve(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Agree to the plan, as another person than the one who made it."""
    by = visit.context.author(visit.who)
    return _to(visit, approving.approve(visit.context.database, _id(visit), by=by.actor, now=by.now).id)


def refuse(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Say no to the plan, with a reason."""
    by, reason = visit.context.author(visit.who), fields.get("reason", "")
    if not reason:
        raise Problem(422, "request_invalid", "A refusal needs a reason.")
    found = approving.refuse(visit.context.database, _id(visit), by=by.actor, reason=reason, now=by.now)
    return _to(visit, found.id)


def apply(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Render what the plan lists, or its sample, and lead to the batch."""
    by, context = visit.context.author(visit.who), visit.context
    done = applying.apply(context.database, _id(visit), account_id=context.account_id, now=by.now, new_id=by.new_id)
    return (
        _to(visit, done.plan_id) if done.batch_id is None else page.redirect(visit.request, f"/batches/{done.batch_id}")
    )


def _to(visit: Visit, plan_id: UUID) -> Response:
    return page.redirect(visit.request, f"/plans/{plan_id}")


def _id(visit: Visit) -> UUID:
    return visit.call.id("plan_id")
