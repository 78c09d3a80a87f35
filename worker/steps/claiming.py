"""Take steps for this worker; of those that create a generation, key and bytes are committed with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from sqlalchemy import Connection

from worker.db import calls, generations, steps
from worker.db.steps import Claim, Ticket, Work
from worker.domain import retry
from worker.domain.step import LEASES, StepKind
from worker.rivya.wire import ReferenceMedia, build_body
from worker.services import Services
from worker.steps import outcomes


class Obstacle(Enum):
    """Why a step that was claimed is not done now."""

    HELD_UP = auto()
    """The account is closed, paused, or used with another key."""
    POISONED = auto()
    """Its prompt has failed too often, and not a byte was sent."""
    TOO_LATE = auto()
    """A generation may exist already, and the provider may have forgotten its key."""
    ANOTHER_ACCOUNTS = auto()
    """It may have been made by another account at the provider, which alone knows its key."""
    NOT_UPLOADED = auto()
    """Its reference is no longer at the provider."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A step that is this worker's own."""

    work: Work
    obstacle: Obstacle | None
    """None: it may be done."""
    body: bytes | None = None
    """Of a step that creates a generation and may be done: the exact bytes to send, which are committed."""


def claim(tx: Connection, services: Services, tickets: Sequence[Ticket]) -> list[Claimed | None]:
    """Take the steps; None for each whose ticket is stale, or that somebody is writing.

    Those that may create a generation count as sent.
    """
    now = services.clock()
    wanted = [Claim(ticket=ticket, until=now + LEASES[ticket.kind]) for ticket in tickets]
    taken = [_judged(services, work, now) for work in steps.claim(tx, wanted)]
    creates = [one for one in taken if one and one.work.kind is StepKind.SUBMIT and one.obstacle is None]
    frozen = _begin(tx, services, [one.work for one in creates], now)
    return [one and replace(one, body=frozen.get(one.work.generation_id)) for one in taken]


def _begin(tx: Connection, services: Services, works: Sequence[Work], now: datetime) -> dict[UUID, bytes]:
    """Count the requests as sent, and freeze their bytes; gives them by generation."""
    for work in works:
        if work.is_in_doubt:
            calls.add_lost_send(tx, work.generation_id)
    bodies = {work.generation_id: _body(services, work, now) for work in works}
    generations.begin_send(tx, bodies, binding=services.binding, now=now)
    return bodies


def _judged(services: Services, work: Work | None, now: datetime) -> Claimed | None:
    return None if work is None else Claimed(work=work, obstacle=_obstacle(services, work, now))


def _obstacle(services: Services, work: Work, now: datetime) -> Obstacle | None:
    if outcomes.is_held_up(services, work, now):
        return Obstacle.HELD_UP
    return _obstacle_to_sending(services, work, now) if work.kind is StepKind.SUBMIT else None


def _obstacle_to_sending(services: Services, work: Work, now: datetime) -> Obstacle | None:
    record = work.prompt_record
    if not work.sends and record is not None and record.is_poisoned(now):
        return Obstacle.POISONED
    if work.is_in_doubt:
        if _is_too_late(services, work, now):
            return Obstacle.TOO_LATE
        return None if work.sent_binding in {None, services.binding} else Obstacle.ANOTHER_ACCOUNTS
    is_missing = work.reference_hash is not None and _upload_url(services, work, now) is None
    return Obstacle.NOT_UPLOADED if is_missing else None


def _is_too_late(services: Services, work: Work, now: datetime) -> bool:
    if work.first_sent_at is None:
        return False
    uncertainty = services.clock_uncertainty()
    if work.first_sent_at > now + uncertainty + retry.CLOCK_SLACK:
        # It was dated by a clock that was wrong: nobody knows for how long the provider has had the key.
        return True
    call = LEASES[StepKind.SUBMIT] + uncertainty
    return not services.policies.replay.is_open(first_sent_at=work.first_sent_at, now=now, call=call)


def _upload_url(services: Services, work: Work, now: datetime) -> str | None:
    """Give the URL of an upload that is trusted to be still there."""
    is_fresh = work.uploaded_at is not None and work.uploaded_at > now - services.policies.upload_reuse
    return work.upload_url if is_fresh else None


def _body(services: Services, work: Work, now: datetime) -> bytes:
    """Make the request's bytes; a request that may have been sent already keeps its own."""
    if work.is_in_doubt:
        assert work.body is not None
        return work.body
    media = None
    url = _upload_url(services, work, now)
    if work.reference_hash is not None and url is not None:
        media = ReferenceMedia(url=url, name=work.reference_name or "", mime_type=work.reference_type or "")
    return build_body(
        model=work.model,
        prompt=work.prompt,
        params=work.params,
        client_request_id=str(work.generation_id),
        reference=media,
    )
