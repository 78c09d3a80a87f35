"""Take steps for this worker; of those that create a generation, key and bytes are committed with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from sqlalchemy import Connection

from worker.core.rules import retry
from worker.core.rules.states import LEASES, StepKind
from worker.engine.queries import calls, generations, steps
from worker.engine.queries.steps import Claim, Ticket, Work, WorkReference
from worker.engine.services import Services
from worker.engine.steps import outcomes
from worker.provider.wire import ReferenceMedia, build_body


class Obstacle(Enum):
    """Why a step that was claimed is not done now."""

    HELD_UP = auto()
    """The account is closed, paused, or used with another key."""
    MODEL_PAUSED = auto()
    """The provider does not offer its model for now, and nothing can have been created."""
    PROMPT_BREAKER = auto()
    """Its prompt has failed too often, and not a byte was sent."""
    TOO_LATE = auto()
    """A generation may exist already, and the provider may have forgotten its key."""
    ANOTHER_ACCOUNTS = auto()
    """It may have been made by another account at the provider, which alone knows its key."""
    REFUSED = auto()
    """Its create was refused, and it is not decided yet whether the request is to blame."""
    NOT_UPLOADED = auto()
    """A reference of it is no longer at the provider."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A step that is this worker's own."""

    work: Work
    obstacle: Obstacle | None
    """None: it may be done."""
    body: bytes | None = None
    """Of a step that creates a generation and may be done: the exact bytes to send, which are committed."""


def claim(tx: Connection, services: Services, tickets: Sequence[Ticket]) -> list[Claimed | None]:
    """Take the steps; None for each whose ticket is stale, or that is locked by another transaction.

    Those that may create a generation count as sent.
    """
    now = services.clock()
    wanted = [Claim(ticket=ticket, until=now + LEASES[ticket.kind]) for ticket in tickets]
    taken = [_claimed(services, work, now) for work in steps.claim(tx, wanted, account_id=services.account_id)]
    creates = [one for one in taken if one and one.work.kind is StepKind.SUBMIT and one.obstacle is None]
    frozen = _begin(tx, services, [one.work for one in creates], now)
    return [one and replace(one, body=frozen.get(one.work.generation_id)) for one in taken]


def _begin(tx: Connection, services: Services, works: Sequence[Work], now: datetime) -> dict[UUID, bytes]:
    """Count the requests as sent, and freeze their bytes; gives them by generation."""
    for work in works:
        if work.has_unanswered_send:
            calls.add_lost_send(tx, work.generation_id)
    bodies = {work.generation_id: _body(work) for work in works}
    generations.begin_send(tx, bodies, binding=services.binding, now=now)
    return bodies


def _claimed(services: Services, work: Work | None, now: datetime) -> Claimed | None:
    return None if work is None else Claimed(work=work, obstacle=_obstacle(services, work, now))


def _obstacle(services: Services, work: Work, now: datetime) -> Obstacle | None:
    if outcomes.is_held_up(services, work, now):
        return Obstacle.HELD_UP
    return _obstacle_to_sending(services, work, now) if work.kind is StepKind.SUBMIT else None


def _obstacle_to_sending(services: Services, work: Work, now: datetime) -> Obstacle | None:
    if work.is_refused:
        return Obstacle.REFUSED
    if work.is_model_paused and not work.has_unanswered_send:
        return Obstacle.MODEL_PAUSED
    record = work.prompt_record
    if not work.sends and record is not None and record.is_breaker_open(now):
        return Obstacle.PROMPT_BREAKER
    if work.has_unanswered_send:
        if _is_too_late(services, work, now):
            return Obstacle.TOO_LATE
        return None if work.sent_binding in {None, services.binding} else Obstacle.ANOTHER_ACCOUNTS
    fresh_after = now - services.policies.upload_reuse
    is_uploaded = all(each.is_uploaded(fresh_after=fresh_after) for each in work.references)
    return None if is_uploaded else Obstacle.NOT_UPLOADED


def _is_too_late(services: Services, work: Work, now: datetime) -> bool:
    if work.first_sent_at is None:
        return False
    uncertainty = services.clock_uncertainty()
    if work.first_sent_at > now + uncertainty + retry.CLOCK_SLACK:
        # It was dated by a clock that was wrong: it is unknown for how long the provider has had the key.
        return True
    call = LEASES[StepKind.SUBMIT] + uncertainty
    return not services.policies.replay.is_open(first_sent_at=work.first_sent_at, now=now, call=call)


def _body(work: Work) -> bytes:
    """Make the request's bytes; a request that may have been sent already keeps its own."""
    if work.has_unanswered_send:
        assert work.body is not None
        return work.body
    return build_body(
        model=work.model,
        prompt=work.prompt,
        params=work.params,
        client_request_id=str(work.generation_id),
        references=[_media(each) for each in work.references],
    )


def _media(reference: WorkReference) -> ReferenceMedia:
    assert reference.url is not None
    return ReferenceMedia(url=reference.url, name=reference.name, mime_type=reference.mime_type)
