"""Steps in the database: leases, and how they end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.batch_request import Priority
from worker.core.rules.errors import PauseReason
from worker.core.rules.models_catalogue import ParamValue
from worker.core.rules.states import GenerationState, StepKind
from worker.engine.rules.give_up import PromptRecord

WITH_GENERATION = """step s CROSS JOIN LATERAL (
        SELECT * FROM generation WHERE id = s.generation_id OFFSET 0) g"""
"""Steps as ``s``, each with its generation as ``g``, looked up one by one: steps are as few as jobs are in flight.

As a join it was merged, where a batch is asked for, with the index of all generations: 22 s beside 5,000,000 of them.
"""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a message carries: which step of which job, under which fence, not before which instant."""

    job_id: UUID
    kind: StepKind
    fence: int
    not_before: datetime


@dataclass(frozen=True, kw_only=True)
class WorkReference:
    """A reference image of a job, and the copy of it that the provider holds, as far as is known."""

    sha256: str
    name: str
    mime_type: str
    url: str | None
    uploaded_at: datetime | None

    def is_uploaded(self, *, fresh_after: datetime) -> bool:
        """Whether there is an upload that is trusted to be still there."""
        return self.url is not None and self.uploaded_at is not None and self.uploaded_at > fresh_after


@dataclass(frozen=True, kw_only=True)
class Work:
    """A claimed step with all that its kind needs to know."""

    job_id: UUID
    batch_id: UUID
    account_id: UUID
    generation_id: UUID
    kind: StepKind
    fence: int
    lease_until: datetime
    due_at: datetime
    attempts: int
    polls: int
    since: datetime
    key: str
    model: str
    prompt: str
    params: dict[str, ParamValue]
    job_failures: int
    references: tuple[WorkReference, ...]
    """Its reference images, in their order."""
    idempotency_key: str
    generation_number: int
    generation_state: GenerationState
    body: bytes | None
    provider_id: str | None
    held: int
    reserved: int | None
    sends: int
    answers: int
    admitted_at: datetime
    first_sent_at: datetime | None
    accepted_at: datetime | None
    result_url: str | None
    recalls: int
    unreadable_sha256: str | None
    """Of the last file in its image's place that is none; None: there was none."""
    unreadable_times: int
    blocked_until: datetime | None
    pause_reason: PauseReason | None
    prompt_record: PromptRecord | None
    """What is remembered of failures of its prompt; None: it has not failed since it last succeeded."""
    is_model_paused: bool
    """Whether the provider does not offer its model for now."""
    binding: int
    """Of the account, as it is now."""
    collected_at: datetime | None
    """When an image of the account was last downloaded, as far as the account's row knows."""
    store_failed_at: datetime | None
    """Since when the account's store has failed; None: it works."""
    sent_binding: int | None
    """Of the account, when the request was last begun to be sent."""
    is_canary: bool
    """Whether its job tries, alone, whether the provider works again."""
    is_provider_suspect: bool
    """Whether there is evidence that the provider fails more than usual."""
    is_refusal_suspect: bool
    """Whether there is evidence that the provider refuses more creates than usual."""
    is_refused: bool
    """Whether its last create was refused, and it is not decided whether the request is to blame."""
    lost_creates: int
    """Creates of the account in a row that had no usable answer."""
    proved_at: datetime | None
    """When a generation of the account last succeeded, as far as is known."""
    hinted_at: datetime | None
    """When a webhook of the provider last brought this poll forward; None: none did."""

    @property
    def reference_hash(self) -> str | None:
        """The first of its references; None: it has none."""
        return self.references[0].sha256 if self.references else None

    @property
    def has_unanswered_send(self) -> bool:
        """Whether an earlier copy of the request may have created a generation."""
        return self.sends > self.answers


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A ticket to claim, and until when."""

    ticket: Ticket
    until: datetime


# A step that is locked is not waited for, nor do the other claims wait: it is handed out again.
_CLAIM = text("""
    WITH free AS (
        SELECT step.job_id, w.until, w.place FROM step
        JOIN json_to_recordset(CAST(:claims AS json))
            AS w (job_id uuid, kind text, fence bigint, until timestamptz, place int)
            ON step.job_id = w.job_id AND step.fence = w.fence AND step.kind = w.kind
        WHERE step.account_id = :account_id
        FOR UPDATE OF step SKIP LOCKED),
    claimed AS (
        UPDATE step SET fence = step.fence + 1, lease_until = free.until FROM free
        WHERE step.job_id = free.job_id
        RETURNING step.*, free.place)
    SELECT c.place, c.job_id, j.batch_id, c.account_id, c.generation_id, c.kind, c.fence, c.lease_until, c.due_at,
           c.attempts, c.polls, c.since, c.hinted_at, j.key, j.model, j.prompt, j.params, j.failures AS job_failures,
           j.reference_hash, r.name AS reference_name, r.mime_type AS reference_type, g.idempotency_key,
           g.number AS generation_number, g.state AS generation_state, g.body, g.provider_id, g.held, g.reserved,
           g.sends, g.answers, g.admitted_at, g.first_sent_at, g.accepted_at, g.result_url, g.recalls,
           g.unreadable_sha256, g.unreadable_times, a.blocked_until,
           a.pause_reason, a.collected_at, a.store_failed_at, a.binding, g.binding AS sent_binding,
           f.failures AS prompt_failures,
           f.last_failed_at, f.last_code, p.paused_at IS NOT NULL AS is_model_paused,
           coalesce(h.canary_job_id = c.job_id, false) AS is_canary,
           coalesce(h.score > 0, false) AS is_provider_suspect,
           coalesce(h.create_score > 0, false) AS is_refusal_suspect, e.generation_id IS NOT NULL AS is_refused,
           coalesce(h.lost_creates, 0) AS lost_creates,
           h.proved_at, u.url AS upload_url,
           u.uploaded_at, (
               SELECT json_agg(json_build_object('sha256', n.hash, 'name', fr.name, 'mime_type', fr.mime_type,
                                                 'url', fu.url, 'uploaded_at', fu.uploaded_at) ORDER BY n.place)
               FROM unnest(j.further_references) WITH ORDINALITY n(hash, place)
               JOIN reference fr ON fr.sha256 = n.hash
               LEFT JOIN upload fu ON fu.account_id = c.account_id AND fu.reference_hash = n.hash) AS further
    FROM claimed c
    JOIN job j ON j.id = c.job_id
    JOIN generation g ON g.id = c.generation_id
    JOIN account a ON a.id = c.account_id
    LEFT JOIN reference r ON r.sha256 = j.reference_hash
    LEFT JOIN upload u ON u.account_id = c.account_id AND u.reference_hash = j.reference_hash
    LEFT JOIN model_pause p ON p.account_id = c.account_id AND p.model = j.model
    LEFT JOIN provider_health h ON h.account_id = c.account_id
    LEFT JOIN failed_attempt e ON e.generation_id = c.generation_id AND c.kind = 'submit'
    LEFT JOIN prompt_failure f ON f.account_id = c.account_id AND f.model = j.model
        AND f.prompt_hash = sha256(convert_to(j.prompt, 'UTF8'))""")


def claim(tx: Connection, claims: Sequence[Claim], *, account_id: UUID) -> list[Work | None]:
    """Make the steps this worker's own, each until its instant; None for each whose ticket is stale or not free.

    Of two claims with the same ticket one gets the step. One of another account is never claimed: it would be done
    with the wrong key.
    """
    wanted = [
        {"job_id": t.job_id, "kind": t.kind, "fence": t.fence, "until": claim.until, "place": place}
        for place, claim in enumerate(claims)
        for t in [claim.ticket]
    ]
    rows = tx.execute(_CLAIM, {"claims": json.dumps(wanted, default=str), "account_id": account_id})
    found = {row.place: _work(row._asdict()) for row in rows}
    return [found.get(place) for place in range(len(claims))]


def _work(values: dict[str, Any]) -> Work:
    del values["place"]
    values["kind"] = StepKind(values["kind"])
    values["generation_state"] = GenerationState(values["generation_state"])
    values["pause_reason"] = PauseReason(values["pause_reason"]) if values["pause_reason"] else None
    values["prompt_record"] = _prompt_record(values)
    values["references"] = _references(values)
    return Work(**values)


def _references(values: dict[str, Any]) -> tuple[WorkReference, ...]:
    """Take the columns of the references out of the row."""
    names = ("reference_hash", "reference_name", "reference_type", "upload_url", "uploaded_at", "further")
    sha256, name, mime_type, url, uploaded_at, further = (values.pop(each) for each in names)
    if sha256 is None:
        return ()
    first = WorkReference(sha256=sha256, name=name, mime_type=mime_type, url=url, uploaded_at=uploaded_at)
    return (first, *(_further(each) for each in further or ()))


def _further(values: dict[str, Any]) -> WorkReference:
    at = values["uploaded_at"]
    return WorkReference(**values | {"uploaded_at": None if at is None else datetime.fromisoformat(at)})


def _prompt_record(values: dict[str, Any]) -> PromptRecord | None:
    """Take the columns of the prompt's failures out of the row."""
    failures, at, code = (values.pop(name) for name in ("prompt_failures", "last_failed_at", "last_code"))
    return None if failures is None else PromptRecord(failures=failures, last_failed_at=at, last_code=code)


_INSERT = text("""
    INSERT INTO step (account_id, priority, job_id, generation_id, kind, due_at, lease_until, fence, since)
    SELECT :account_id, :priority, t.*, :fence, :now FROM unnest(
        CAST(:job_ids AS uuid[]), CAST(:generation_ids AS uuid[]), CAST(:kinds AS text[]),
        CAST(:due_ats AS timestamptz[]), CAST(:leases AS timestamptz[])) t""")


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """The first step of an admitted job; with a lease, its ticket is valid at once under the first fence."""

    job_id: UUID
    generation_id: UUID
    kind: StepKind
    due_at: datetime
    lease_until: datetime | None


def first_fence(now: datetime) -> int:
    """Return the fence with which a step begins that is written at ``now``.

    A job that is ordered again has a new row, and a message of the one before may still be on its way. Fences go up by
    one for each lease and claim, far less often than sixteen times a second, so that the new row has none of the
    earlier one's, and that message is stale. They come round after two years, below the most that a message may carry.
    """
    return int(now.timestamp() * 16) % 2**30


def insert(tx: Connection, account_id: UUID, first: Sequence[FirstStep], *, priority: Priority, now: datetime) -> None:
    """Write the first step of each admitted job of one class."""
    tx.execute(
        _INSERT,
        {
            "account_id": account_id,
            "priority": priority,
            "job_ids": [s.job_id for s in first],
            "generation_ids": [s.generation_id for s in first],
            "kinds": [s.kind for s in first],
            "due_ats": [s.due_at for s in first],
            "leases": [s.lease_until for s in first],
            "fence": first_fence(now),
            "now": now,
        },
    )


def wake_uploads(tx: Connection, account_id: UUID, reference_hash: str, *, kind: StepKind, now: datetime) -> int:
    """Let every free step that waits for this reference go on with ``kind`` at ``now``; gives how many.

    One whose job has further references looks first whether these are uploaded, too.
    """
    changed = tx.execute(
        text("""
            UPDATE step SET due_at = :now, attempts = 0, error = NULL, since = :now,
                fence = fence + 1,
                kind = CASE WHEN (SELECT further_references FROM job WHERE id = step.job_id) IS NULL THEN :kind
                            ELSE 'upload' END
            WHERE job_id IN (
                SELECT s.job_id FROM step s JOIN job j ON j.id = s.job_id
                WHERE s.account_id = :account_id AND s.kind = 'upload'
                  AND (j.reference_hash = :hash OR :hash = ANY(j.further_references))
                  AND (s.lease_until IS NULL OR s.lease_until <= :now)
                FOR UPDATE OF s SKIP LOCKED)"""),
        {"kind": kind, "now": now, "account_id": account_id, "hash": reference_hash},
    )
    return changed.rowcount
