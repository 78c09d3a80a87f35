"""Where a batch stands: its jobs by state, its credits by account, and what it waits for."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import model_pauses
from worker.accounts.queries.model_pauses import PausedModel
from worker.accounts.rules import wallet
from worker.batches.queries import odd_images
from worker.batches.queries.odd_images import OddImages
from worker.core.rules.batch_state import BatchState
from worker.core.rules.errors import PauseReason
from worker.core.rules.job import ENDED, JobState
from worker.engine.queries import batches, not_downloaded, retry_reasons
from worker.engine.queries.batches import BatchRow
from worker.engine.rules.not_downloaded import NotDownloaded
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.prices import NEXT
from worker.ledger.rules.entries import CreditAccount

_ID_PREFIX_MIN = 4
"""Fewer characters of an id say next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why pending jobs are not admitted, and whether the live ones can still go on."""

    reason: str
    is_account_paused: bool
    ends_by_itself: bool
    """False when waiting alone will not help, as with a cap that is used up."""
    next_step: str = ""
    """What a person can do about it."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One batch at one instant; credits are what lies in each account of its ledger."""

    batch: BatchRow
    jobs: Mapping[JobState, int]
    held: int
    reserved: int
    spent: int
    obstacle: Obstacle | None
    not_downloaded: NotDownloaded = field(default_factory=NotDownloaded)
    """Paid images that are not in the store yet."""
    not_as_ordered: tuple[OddImages, ...] = ()
    """Images that differ from what was ordered."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen by itself."""
        return all(count == 0 for state, count in self.jobs.items() if state not in ENDED)

    @property
    def is_open(self) -> bool:
        """Whether a node has something to do for it."""
        return not self.is_done and (self.batch.state is not BatchState.PAUSED or self.jobs[JobState.ACTIVE] > 0)

    @property
    def ended(self) -> int:
        """How many jobs have reached an end state."""
        return sum(self.jobs[state] for state in ENDED)

    @property
    def lacking(self) -> int:
        """How many jobs have ended without an image."""
        return self.ended - self.jobs[JobState.SUCCEEDED]

    @property
    def state(self) -> str:
        """One of refused, cancelled, done, paused, waiting and running."""
        if self.batch.state is BatchState.REFUSED:
            return "refused"
        # Of a batch that had ended before, nothing was cancelled.
        if self.batch.state is BatchState.CANCELLED and (self.jobs[JobState.CANCELLED] or not self.is_done):
            return "cancelled"
        if self.is_done:
            return "done"
        if self.batch.state is BatchState.PAUSED:
            return "paused"
        is_stuck = self.obstacle is not None and (self.obstacle.is_account_paused or self.jobs[JobState.ACTIVE] == 0)
        return "waiting" if is_stuck else "running"


def read(tx: Connection, batch: BatchRow, *, now: datetime, wallet_floor: int | None = None) -> Overview:
    """Return the overview of one batch as it is now; ``wallet_floor`` is what the nodes were told to leave in it."""
    batch = batches.by_id(tx, batch.id) or batch
    jobs = _jobs(tx, batch.id)
    balances = entries.balances(tx, batch.id)
    return Overview(
        batch=batch,
        jobs=jobs,
        held=balances[CreditAccount.HELD],
        reserved=balances[CreditAccount.RESERVED],
        spent=balances[CreditAccount.SPENT],
        obstacle=_obstacle(tx, batch, now, wallet_floor) if jobs[JobState.PENDING] + jobs[JobState.ACTIVE] else None,
        not_downloaded=not_downloaded.of_batch(tx, batch.id) if jobs[JobState.ACTIVE] else NotDownloaded(),
        not_as_ordered=odd_images.of_batch(tx, batch.id, batch.size_policy),
    )


def find(tx: Connection, name: str) -> list[BatchRow]:
    """Return the batch with that id or token, else the newest with that name, else all whose id begins like that.

    Empty when there is none; more than one only for the beginning of an id.
    """
    exact = _by_id(tx, name) or batches.by_token(tx, name)
    if exact is not None:
        return [exact]
    if named := batches.by_name(tx, name, limit=1):
        return named
    return _by_prefix(tx, name)


def server(tx: Connection) -> str:
    """Return which server and which database this is."""
    row = tx.execute(text("SELECT current_setting('server_version'), current_database()")).one()
    return f"Postgres {row[0]}, database {row[1]}"


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Whether an account does paid work; ``reason`` None says that it does."""

    reason: str | None
    message: str | None
    since: datetime | None


def pause(tx: Connection, account: str) -> Pause | None:
    """Return the pause of the account with that name; None when there is no such account yet."""
    row = tx.execute(
        text("SELECT pause_reason, pause_message, paused_at FROM account WHERE name = :name"), {"name": account}
    ).one_or_none()
    return None if row is None else Pause(reason=row[0], message=row[1], since=row[2])


def _by_id(tx: Connection, name: str) -> BatchRow | None:
    try:
        return batches.by_id(tx, UUID(name))
    except ValueError:
        return None


def _by_prefix(tx: Connection, name: str) -> list[BatchRow]:
    prefix = name.lower()
    if len(prefix) < _ID_PREFIX_MIN or set(prefix) - set("0123456789abcdef-"):
        return []
    ids = tx.execute(
        text("SELECT id FROM batch WHERE starts_with(id::text, :prefix) ORDER BY id DESC LIMIT 5"),
        {"prefix": prefix},
    ).scalars()
    return [row for row in (batches.by_id(tx, batch_id) for batch_id in ids) if row is not None]


def _jobs(tx: Connection, batch_id: UUID) -> Mapping[JobState, int]:
    counted = tx.execute(text("SELECT state, count(*) FROM job WHERE batch_id = :id GROUP BY state"), {"id": batch_id})
    return dict.fromkeys(JobState, 0) | {JobState(state): count for state, count in counted}


_OBSTACLE = text(f"""
    SELECT b.state, EXISTS (SELECT FROM job WHERE batch_id = b.id AND state = 'pending') AS has_pending,
        (SELECT concat_ws(': ', actor, reason) FROM change WHERE subject = 'batch:' || b.id AND field = 'state'
            AND after = 'paused' ORDER BY changed_at DESC, id DESC LIMIT 1) AS paused_by,
        a.pause_reason, a.pause_message, a.wallet_left, a.wallet_read_at, b.credit_cap, b.committed, b.owner,
        c.monthly_cap,
        CASE WHEN a.blocked_until > :now THEN a.blocked_until END AS blocked,
        coalesce(m.committed, 0) AS month_committed,
        CASE WHEN b.state = 'open' THEN {NEXT.format(batch="b")} END AS price,
        ({model_pauses.AS_JSON.format(account_id="b.account_id")} AND EXISTS (
            SELECT FROM job WHERE batch_id = b.id AND model = p.model AND state = 'pending')) AS paused_models
    FROM batch b JOIN account a ON a.id = b.account_id
    LEFT JOIN owner_cap c ON c.owner = b.owner
    LEFT JOIN owner_month m ON m.owner = b.owner AND m.month = :month
    WHERE b.id = :id""")


def _obstacle(tx: Connection, batch: BatchRow, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    month = budgets.month_of(now)
    found = tx.execute(_OBSTACLE, {"id": batch.id, "now": now, "month": month}).one()
    if found.state == BatchState.PAUSED and found.has_pending:
        return _held_back(batch, found.paused_by)
    if found.pause_reason is not None:
        return _paused(PauseReason(found.pause_reason), found.pause_message)
    if limit := _limit_of_next(batch, found, now, wallet_floor):
        return limit
    if found.blocked is not None:
        reason = f"the provider asked to wait until {found.blocked:%Y-%m-%d %H:%M:%S} UTC"
        return Obstacle(
            reason=reason,
            is_account_paused=False,
            ends_by_itself=True,
            next_step="nothing; work resumes then, or at once with `darkroom account resume`",
        )
    if trouble := retry_reasons.most(tx, batch.id):
        return Obstacle(
            reason=str(trouble),
            is_account_paused=False,
            ends_by_itself=True,
            next_step="nothing; work resumes by itself, and `darkroom doctor` checks each part",
        )
    return None


def _held_back(batch: BatchRow, paused_by: str | None) -> Obstacle:
    return Obstacle(
        reason=f"batch paused by {paused_by}" if paused_by else "batch paused",
        is_account_paused=False,
        ends_by_itself=False,
        next_step=f"`darkroom resume {batch.id}`",
    )


def next_step_of(reason: PauseReason) -> str:
    """Return what a person can do about a pause."""
    steps = {
        PauseReason.OPERATOR: "`darkroom account resume`",
        PauseReason.RESULTS_UNREACHABLE: "fix the network route to the images, or the store; work resumes with the"
        " first image that is downloaded, and `darkroom retry BATCH` downloads those given up, free of charge",
        PauseReason.PROVIDER_FAILING: "nothing; one job at a time probes whether the provider works again",
        PauseReason.OUTCOMES_UNKNOWN: "nothing; one job at a time probes whether the provider answers again;"
        " `darkroom audit in-doubt` lists what may have been paid",
        PauseReason.STORE_UNAVAILABLE: "make the store (DARKROOM_STORE) available again; work resumes by itself, and"
        " `darkroom doctor` says what is wrong with it",
        PauseReason.INSUFFICIENT_CREDITS: "top up the wallet; work resumes by itself",
        PauseReason.PUBLIC_API_DISABLED: "nothing; work resumes by itself when the provider is back",
    }
    return steps.get(reason, "fix the key (RIVYA_API_KEY) or its scopes; work resumes by itself")


def _paused(reason: PauseReason, message: str | None) -> Obstacle:
    words = f" ({message})" if message else ""
    return Obstacle(
        reason=f"account paused: {reason}{words}",
        is_account_paused=True,
        ends_by_itself=reason.ends_by_itself or reason.sends_canaries or reason is PauseReason.STORE_UNAVAILABLE,
        next_step=next_step_of(reason),
    )


def _limit_of_next(batch: BatchRow, found: Any, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    """Return what keeps the next pending jobs from being begun: their model, or a limit."""
    if found.paused_models is not None:
        return _without_model(model_pauses.from_json(found.paused_models))
    return None if found.price is None else _limit(batch, found, now, wallet_floor)


def _without_model(paused: Sequence[PausedModel]) -> Obstacle:
    return Obstacle(
        reason="; ".join(str(each) for each in paused),
        is_account_paused=False,
        ends_by_itself=True,
        next_step="nothing; its jobs resume when the provider offers it again, and other models are not affected",
    )


def _limit(batch: BatchRow, found: Any, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    """Return which limit the batch's next job does not fit under, the batch's own first."""
    month = budgets.month_of(now)
    if found.credit_cap is not None and found.credit_cap - found.committed < found.price:
        least = found.committed + found.price
        step = f"`darkroom cap {batch.id} N` with at least {least}, or `darkroom cap {batch.id} none`"
        return Obstacle(reason="credit cap reached", is_account_paused=False, ends_by_itself=False, next_step=step)
    if found.monthly_cap is not None and found.monthly_cap - found.month_committed < found.price:
        return Obstacle(
            reason=f"monthly cap of {found.owner} reached",
            is_account_paused=False,
            ends_by_itself=False,
            next_step=f"`darkroom cap --owner {shlex.quote(found.owner)} --monthly N` with at least"
            f" {found.month_committed + found.price}, or wait for {_after(month):%Y-%m-%d}",
        )
    room = wallet.spendable(left=found.wallet_left, read_at=found.wallet_read_at, floor=wallet_floor, now=now)
    return None if room is None or room >= found.price else _wallet_too_low(found, wallet_floor)


def _wallet_too_low(found: Any, floor: int | None) -> Obstacle:
    left = "has not been read yet" if found.wallet_left is None else f"has {max(found.wallet_left, 0):,} credits left"
    below = f" above DARKROOM_WALLET_FLOOR ({floor:,})" if floor else ""
    return Obstacle(
        reason=f"the wallet {left}, and the next image needs {found.price}{below}",
        is_account_paused=False,
        ends_by_itself=True,
        next_step="top up the wallet; work resumes by itself within a minute"
        + (f"; or start the nodes with a DARKROOM_WALLET_FLOOR below {floor}" if floor else ""),
    )


def _after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
