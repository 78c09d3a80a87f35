"""Batches and the account: list, show, pause, resume, cancel, retry, reprioritise and cap."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.accounts.queries import account_limits, pools
from worker.archive.queries import archived
from worker.batches import control, views
from worker.batches.actions import RetryEffect
from worker.batches.control import NewDeadline
from worker.batches.queries import failed_jobs, overview
from worker.batches.queries.overview import Overview
from worker.core.rules import batch_request
from worker.core.rules.batch_request import Priority
from worker.core.rules.fault import UnfitError
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow, Place
from worker.node.queries import nodes
from worker.web.api.operations import Call, field_problem
from worker.web.api.schemas import ListQuery, NewCap, NewPriority, NewTry, Reasoned
from worker.web.problems import Forbidden, Problem
from worker.web.rules import cursor
from worker.web.rules.identity import Right

_FAULTS_SHOWN = 1_000
_LOOKED_AT = 200
"""Batches that one page of a list looks at, when only those in some state are wanted."""
_OPEN = frozenset({"running", "waiting", "paused"})


def list_batches(call: Call, query: ListQuery) -> dict[str, Any]:
    """Return the newest batches that the identity may see; a page may have fewer than asked for and not be the last."""
    owner = call.principal.owner
    if owner is not None and query.owner not in {None, owner}:
        return {"batches": [], "next": None}
    after, found, looked_at = _place(query.cursor), list[Overview](), 0
    while True:
        with call.database.transaction() as tx:
            rows = batches.newest(
                tx, limit=query.limit, owner=owner or query.owner, token=query.token, name=query.name, after=after
            )
        for row in rows:
            after, looked_at = row.place, looked_at + 1
            seen = _look(call, row)
            if _has_state(seen, query.state):
                found.append(seen)
            if len(found) == query.limit or looked_at == _LOOKED_AT:
                return {"batches": [views.batch(each) for each in found], "next": _cursor(after)}
        if len(rows) < query.limit:
            return {"batches": [views.batch(each) for each in found], "next": None}


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    try:
        created_at, batch_id = cursor.decode(text, parts=2)
        # Without its zone it would be another instant in another session.
        return Place(created_at=datetime.fromisoformat(created_at).astimezone(UTC), id=UUID(batch_id))
    except (ValueError, OverflowError):
        raise field_problem("cursor", UnfitError(cursor.NONE)) from None


def _cursor(place: Place) -> str:
    return cursor.encode(place.created_at.isoformat(), place.id)


def _has_state(found: Overview, state: str | None) -> bool:
    return state is None or (found.state in _OPEN if state == "open" else found.state == state)


def _look(call: Call, row: BatchRow) -> Overview:
    with call.database.transaction() as tx:
        return look(call, tx, row)


def look(call: Call, tx: Connection, row: BatchRow) -> Overview:
    """Return where the batch stands."""
    return overview.read(tx, row, now=call.context.clock(), wallet_floor=call.context.settings.wallet_floor)


def show_batch(call: Call) -> dict[str, Any]:
    """Return where one batch stands, as ``darkroom status --json`` does."""
    with call.database.transaction() as tx:
        row = call.batch(tx)
        faults = batches.faults(tx, row.id)
        failures = failed_jobs.by_code(tx, row.id)
        alive = nodes.count_alive(tx)
        moved = archived.of_batch(tx, row.id)
        found = look(call, tx, row)
        paying = pools.payers_of_batch(tx, row.id, spent=found.spent)
    return {
        **views.batch(found),
        "accounts": [vars(each) for each in paying],
        "failures": [vars(each) for each in failures],
        "faults": [views.fault(each) for each in faults[:_FAULTS_SHOWN]],
        "fault_count": len(faults),
        "nodes": alive,
        "archived_at": None if moved is None else views.instant(moved.archived_at),
        "archive_folder": None if moved is None else moved.folder,
    }


def pause_batch(call: Call, body: Reasoned) -> dict[str, Any]:
    """Begin nothing more of the batch for now."""
    control.pause(call.database, _visible(call).id, call.author(body.reason))
    return views.batch(_look(call, _visible(call)))


def resume_batch(call: Call, body: Reasoned) -> dict[str, Any]:
    """Resume a paused batch."""
    control.resume(call.database, _visible(call).id, call.author(body.reason))
    return views.batch(_look(call, _visible(call)))


def cancel_batch(call: Call, body: Reasoned) -> dict[str, Any]:
    """Begin nothing more of the batch ever; what is at the provider is downloaded."""
    by = call.author(body.reason)
    effect = control.cancel(call.database, _visible(call).id, now=by.now, by=by)
    return {"cancelled": effect.cancelled, "released": effect.released, "draining": effect.draining}


def set_priority(call: Call, body: NewPriority) -> dict[str, Any]:
    """Give the batch another class or weight."""
    if body.priority is not None and not call.principal.may_ask_for(Priority(body.priority)):
        raise Forbidden(f"{call.principal.actor} may ask for the priority {call.principal.max_priority} at most")
    if body.priority is None and body.weight is None:
        raise Problem(422, "request_invalid", "the body has neither priority nor weight")
    after = control.reprioritise(
        call.database, _visible(call).id, call.author(body.reason), priority=body.priority, weight=body.weight
    )
    return {"priority": after.priority.value, "weight": after.weight}


def retry_batch(call: Call, body: NewTry) -> dict[str, Any]:
    """Retry the failed jobs; nothing is changed when it would cost more than ``max_credits``."""
    by = call.author(body.reason)
    price = 0

    def agree(effect: RetryEffect) -> bool:
        nonlocal price
        price = effect.credits
        return body.max_credits is None or price <= body.max_credits

    deadline = None if body.deadline is None else NewDeadline(at=deadline_at(body.deadline, by.now), author=by)
    effect = control.retry_failed(
        call.database,
        _visible(call).id,
        by,
        approve_above=call.context.settings.approve_above,
        code=body.code,
        deadline=deadline,
        agree=agree,
    )
    if effect is None:
        detail = f"nothing was changed: it would cost {price:,} credits, more than max_credits"
        raise Problem(409, "price_above_limit", detail, credits=price)
    return vars(effect)


def deadline_at(text: str, now: datetime) -> datetime:
    """Return the instant of a deadline that is set now; raise Problem for one that cannot be read or has passed."""
    try:
        at = batch_request.falls_at(batch_request.deadline(text), now=now)
    except UnfitError as unfit:
        raise field_problem("deadline", unfit) from None
    if at <= now:
        raise field_problem("deadline", UnfitError("has passed already"))
    return at


def set_cap(call: Call, body: NewCap) -> dict[str, Any]:
    """Set or lift the credits that the batch may commit."""
    most = call.principal.credit_cap
    if most is not None and (body.credits is None or body.credits > most):
        raise Forbidden(f"{call.principal.actor} may let a batch commit {most:,} credits at most")
    batch_id, by, above = _visible(call).id, call.author(body.reason), call.context.settings.approve_above
    return vars(control.cap_batch(call.database, batch_id, body.credits, by, approve_above=above))


def _visible(call: Call) -> BatchRow:
    with call.database.transaction() as tx:
        return call.batch(tx)


def show_account(call: Call) -> dict[str, Any]:
    """Return the state of the account: its pause, wallet and rate."""
    now, settings = call.context.clock(), call.context.settings
    with call.database.transaction() as tx:
        found = account_limits.view(tx, settings.account, now=now)
    if found is None:
        raise Problem(404, "not_found", "there is no account yet")
    state = "paused" if found.pause_reason else "blocked" if found.blocked_until else "running"
    shown = account_limits.as_json(found) | {"state": state}
    return shown if call.principal.may(Right.FINANCE) else shown | {"wallet": None}
