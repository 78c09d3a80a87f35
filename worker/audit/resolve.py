"""What ends a doubt: a person's word that it is ours, was charged or was not, or the provider's that it has ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker.audit.queries import in_doubt
from worker.audit.queries.in_doubt import InDoubt
from worker.audit.rules.dispute_decision import NotInDoubt, Sendings, Signature, TooMuch, UnfitTask
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database, violated
from worker.core.rules.errors import NotFound, ProviderError
from worker.core.rules.states import LEASES, GenerationState, JobState, StepKind
from worker.engine.services import Services
from worker.engine.steps.calling import Calls
from worker.ledger import second_person
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as moves
from worker.ledger.rules.entries import Movement
from worker.ledger.second_person import SecondPersonNeeded
from worker.provider.wire import GenerationStatus, GenerationView

log = structlog.get_logger(__name__)

OURSELVES = "darkroom"
"""Who signs what follows from the provider's own answer."""


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What was decided, and the entries that it led to."""

    doubt: InDoubt
    generation_state: GenerationState
    job_state: JobState
    movements: Sequence[Movement]
    status: GenerationStatus | None = None
    """How the provider said that an adopted task stands."""


def adopt(
    services: Services, generation_id: UUID, provider_id: str, signature: Signature, *, may_be_misdated: bool = False
) -> Resolution:
    """Leave the generation accepted under the provider's id, its reserved figure booked, and polled from now on.

    The provider is asked first. Raises UnfitTask when it does not know the task, the task is another's, or it was
    created when nothing of this generation was under way (unless it ``may_be_misdated``), NotInDoubt, the
    provider's error, or SecondPersonNeeded when more than the account's threshold is at stake.
    """
    calls = Calls(services, generation_id)
    _expect_free(services, generation_id, provider_id)
    try:
        view = calls.get(provider_id)
    except ProviderError as error:
        with services.database.transaction() as tx:
            calls.write(tx)
        if isinstance(error, NotFound):
            raise UnfitTask(provider_id, "the provider knows no such task of this account") from error
        raise
    try:
        with services.database.transaction() as tx:
            doubt = _locked(tx, generation_id)
            calls.write(tx)
            by = _author(signature, services.new_id, services.clock())
            waits = _missing(tx, doubt, by, f"adopt {provider_id}", above=services.policies.approve_above)
            if waits is None:
                done = _accept(tx, services, doubt, view, signature, may_be_misdated=may_be_misdated)
    except IntegrityError as error:
        if violated(error) != "uq_generation_provider_id":
            raise
        raise UnfitTask(provider_id, "another generation has just adopted it") from error
    if waits is not None:
        raise waits
    return _told(done, signature)


def _author(signature: Signature, new_id: Callable[[], UUID], now: datetime) -> Author:
    return Author(actor=signature.actor, reason=signature.reason, now=now, new_id=new_id)


def _missing(
    tx: Connection, doubt: InDoubt, by: Author, request: str, *, above: int | None, credits_: int = 0
) -> SecondPersonNeeded | None:
    """Return what is raised where more credits are at stake than one person may decide about."""
    at_stake = max(in_doubt.at_stake(tx, doubt.generation_id), credits_)
    subject = f"generation:{doubt.generation_id}"
    return second_person.missing(tx, by, subject=subject, request=request, credits_=at_stake, above=above)


def adopt_answer(services: Services, generation_id: UUID, view: GenerationView) -> bool:
    """Mark a generation in doubt as accepted again, so that it is polled, when the provider says that it has ended.

    Only for one that the provider had accepted under this id. False, and nothing changed, when the answer is no end
    with its final credits, when the generation is not in doubt (any more), or when the answer is not about it.
    """
    if not view.status.is_terminal or view.final_credits is None:
        return False
    reason = f"the provider's answer is the evidence: {view.status.value}, {view.final_credits} credits"
    try:
        with services.database.transaction() as tx:
            doubt = _locked(tx, generation_id)
            if doubt.provider_id != view.id:
                return False
            # Its id was answered to this very request, whatever the provider's clock says.
            signature = Signature(actor=OURSELVES, reason=reason)
            _accept(tx, services, doubt, view, signature, doubt.accepted_at, may_be_misdated=True)
    except NotInDoubt:
        return False
    except UnfitTask as error:
        log.warning("generation.not_taken_up", generation=str(generation_id), error=str(error))
        return False
    log.info("generation.taken_up", generation=str(generation_id), status=view.status)
    return True


def charged(
    database: Database,
    generation_id: UUID,
    credits_: int,
    signature: Signature,
    *,
    new_id: Callable[[], UUID],
    now: datetime,
    approve_above: int | None,
    may_exceed: bool = False,
) -> Resolution:
    """Mark the generation as failed with ``credits_`` (1 or more) spent, by correcting entries; its job has failed.

    Raises TooMuch for more than lies open, unless it ``may_exceed`` that, and SecondPersonNeeded when more than
    ``approve_above`` is at stake.
    """
    with database.transaction() as tx:
        doubt = _locked(tx, generation_id)
        if credits_ > doubt.open and not may_exceed:
            raise TooMuch(credits_, doubt.open)
        by = _author(signature, new_id, now)
        waits = _missing(tx, doubt, by, f"charged {credits_}", above=approve_above, credits_=credits_)
        if waits is None:
            done = _correct(tx, doubt, GenerationState.FAILED, credits_, signature, new_id(), now)
    if waits is not None:
        raise waits
    return _told(done, signature)


def not_charged(
    database: Database,
    generation_id: UUID,
    signature: Signature,
    *,
    new_id: Callable[[], UUID],
    now: datetime,
    approve_above: int | None,
) -> Resolution:
    """Leave the generation void and its credits back at the cap, by correcting entries; its job may be asked again.

    Raises SecondPersonNeeded when more than ``approve_above`` is at stake.
    """
    with database.transaction() as tx:
        doubt = _locked(tx, generation_id)
        waits = _missing(tx, doubt, _author(signature, new_id, now), "not charged", above=approve_above)
        if waits is None:
            done = _correct(tx, doubt, GenerationState.VOID, 0, signature, new_id(), now)
    if waits is not None:
        raise waits
    return _told(done, signature)


def _told(done: Resolution, by: Signature) -> Resolution:
    log.info(
        "generation.resolved",
        generation=str(done.doubt.generation_id),
        state=done.generation_state,
        job_state=done.job_state,
        by=by.actor,
    )
    return done


def _expect_free(services: Services, generation_id: UUID, provider_id: str) -> None:
    """Raise what speaks against the adoption before the provider is asked."""
    with services.database.transaction() as tx:
        doubt = _locked(tx, generation_id)
        holder = in_doubt.holder_of(tx, provider_id)
    if doubt.account_id != services.account_id:
        raise UnfitTask(provider_id, f"the generation is the account {doubt.account}'s: set DARKROOM_ACCOUNT to it")
    if doubt.provider_id not in {None, provider_id}:
        raise UnfitTask(provider_id, f"the provider accepted this generation as {doubt.provider_id}: adopt that one")
    if holder not in {None, generation_id}:
        raise UnfitTask(provider_id, f"it is the generation {holder}'s")


def _accept(
    tx: Connection,
    services: Services,
    doubt: InDoubt,
    view: GenerationView,
    signature: Signature,
    accepted_at: datetime | None = None,
    *,
    may_be_misdated: bool,
) -> Resolution:
    """Go on with the locked generation; the time that polls have for it begins at ``accepted_at``, or now."""
    now = services.clock()
    if view.model and view.model != doubt.model:
        raise UnfitTask(view.id, f"it is of the model {view.model}, and the generation asked for {doubt.model}")
    sendings = _strange_time(doubt, view)
    if sendings is not None and not may_be_misdated:
        raise UnfitTask(
            view.id,
            f"it was created {view.created_at:%Y-%m-%d %H:%M:%S} UTC, and this generation was being sent from"
            f" {sendings}: if it is known to be this one all the same, say so with --force",
        )
    answered = doubt.held if view.reserved_credits is None else view.reserved_credits
    movements = moves.reserve(held=doubt.held, answered=answered) if doubt.reserved is None else ()
    reserved = answered if doubt.reserved is None else doubt.reserved
    _post(tx, doubt, movements, signature, now)
    in_doubt.adopt(tx, doubt, provider_id=view.id, reserved=reserved, accepted_at=accepted_at or now, now=now)
    if movements:
        budgets.note_price(
            tx, account_id=doubt.account_id, model=doubt.model, held=doubt.held, reserved=reserved, now=now
        )
    after = f"accepted as {view.id}"
    _sign(tx, doubt, after, signature, services.new_id(), now)
    if sendings is not None:
        _sign_force(tx, doubt, sendings, view, signature, services.new_id(), now)
    return Resolution(
        doubt=doubt,
        generation_state=GenerationState.ACCEPTED,
        job_state=JobState.ACTIVE,
        movements=movements,
        status=view.status,
    )


def _strange_time(doubt: InDoubt, view: GenerationView) -> Sendings | None:
    """Return when the generation was being sent, if the task was created at another time; None also when unknown."""
    if view.created_at is None or doubt.first_sent_at is None:
        return None
    last_at = doubt.last_sent_at or doubt.first_sent_at
    sendings = Sendings(first_at=doubt.first_sent_at, last_at=last_at, call=LEASES[StepKind.SUBMIT])
    return None if sendings.can_have_made(view.created_at) else sendings


def _correct(
    tx: Connection,
    doubt: InDoubt,
    state: GenerationState,
    credits_: int,
    signature: Signature,
    change_id: UUID,
    now: datetime,
) -> Resolution:
    """Move what lies open to where it belongs, and end generation and job."""
    is_charged = state is GenerationState.FAILED
    movements = moves.correct(source=doubt.open_in, amount=doubt.open, charged=credits_)
    _post(tx, doubt, movements, signature, now)
    in_doubt.end(
        tx,
        doubt,
        state,
        final=credits_ if is_charged else None,
        code="resolved_charged" if is_charged else "resolved_not_charged",
        message=signature.reason,
        now=now,
    )
    _sign(tx, doubt, f"{state}, {credits_} credits charged", signature, change_id, now)
    return Resolution(doubt=doubt, generation_state=state, job_state=JobState.FAILED, movements=movements)


def _locked(tx: Connection, generation_id: UUID) -> InDoubt:
    doubt = in_doubt.lock(tx, generation_id)
    if doubt is None:
        raise NotInDoubt(generation_id, in_doubt.state_of(tx, generation_id))
    return doubt


def _post(tx: Connection, doubt: InDoubt, movements: Sequence[Movement], by: Signature, now: datetime) -> None:
    entries.commit_to(tx, movements, batch_id=doubt.batch_id, held_at=doubt.admitted_at)
    posting = Posting(
        batch_id=doubt.batch_id,
        generation_id=doubt.generation_id,
        movements=movements,
        actor=by.actor,
        reason=by.reason,
    )
    entries.post(tx, [posting], now=now)
    session.notify(tx)


def _sign(tx: Connection, doubt: InDoubt, after: str, by: Signature, change_id: UUID, now: datetime) -> None:
    changes.insert(
        tx,
        change_id=change_id,
        subject=f"generation:{doubt.generation_id}",
        field="state",
        before=f"in_doubt ({doubt.code}: {doubt.message})",
        after=after,
        actor=by.actor,
        reason=by.reason,
        now=now,
    )


def _sign_force(
    tx: Connection,
    doubt: InDoubt,
    sendings: Sendings,
    view: GenerationView,
    by: Signature,
    change_id: UUID,
    now: datetime,
) -> None:
    """Keep that a person took a task although it was created at another time."""
    changes.insert(
        tx,
        change_id=change_id,
        subject=f"generation:{doubt.generation_id}",
        field="forced adoption",
        before=f"sent from {sendings}",
        after=f"{view.id}, created {view.created_at}",
        actor=by.actor,
        reason=by.reason,
        now=now,
    )
