"""Overview of a batch: jobs by state, credits by account, what it waits for and what is retried."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import provider_health
from worker.accounts.queries.provider_health import PausedModel
from worker.accounts.rules import pace
from worker.batches.queries import job_counts
from worker.batches.queries import results as queries_results
from worker.batches.queries.results import ImagesNotAsOrdered
from worker.batches.rules.explaining import STEP_WORDS
from worker.core.rules.errors import STORE_UNAVAILABLE, PauseReason
from worker.core.rules.states import ENDED_JOBS, BatchState, JobState, StepKind
from worker.engine.queries import batches, results, steps
from worker.engine.queries.batches import BatchRow
from worker.engine.rules.give_up import NotDownloaded
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.budgets import NEXT
from worker.ledger.rules.entries import CreditAccount

_ID_PREFIX_MIN = 4
"""Fewer characters of an id say next to nothing."""
_STORE_STEP = (
    "make the store (DARKROOM_STORE) available again; work resumes by itself, and `darkroom doctor` says what is"
    " wrong with it"
)


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
    """One batch at one instant; credits are the balances of its ledger accounts."""

    batch: BatchRow
    jobs: Mapping[JobState, int]
    held: int
    reserved: int
    spent: int
    obstacle: Obstacle | None
    not_downloaded: NotDownloaded = field(default_factory=NotDownloaded)
    """Paid images that are not in the store yet."""
    not_as_ordered: tuple[ImagesNotAsOrdered, ...] = ()
    """Images that differ from what was ordered."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen by itself."""
        return all(count == 0 for state, count in self.jobs.items() if state not in ENDED_JOBS)

    @property
    def is_open(self) -> bool:
        """Whether a node has something to do for it."""
        return not self.is_done and (self.batch.state is not BatchState.PAUSED or self.jobs[JobState.ACTIVE] > 0)

    @property
    def ended(self) -> int:
        """How many jobs have reached an end state."""
        return sum(self.jobs[state] for state in ENDED_JOBS)

    @property
    def download_step(self) -> str:
        """What a person can do so that paid images are downloaded; empty when no download has failed."""
        error = self.not_downloaded.error
        if error is None:
            return ""
        if error.startswith(STORE_UNAVAILABLE):
            return _STORE_STEP
        return (
            "nothing at first: downloads are retried by themselves, free of charge; if they go on failing, let the"
            " nodes reach the host of the images (proxy, firewall, DNS)"
        )

    @property
    def lacking(self) -> int:
        """How many jobs have ended without an image."""
        return self.ended - self.jobs[JobState.SUCCEEDED]

    @property
    def state(self) -> str:
        """One of refused, cancelled, done, paused, waiting and running."""
        return display_state(self.batch.state, self.jobs, self.obstacle)


def display_state(batch: BatchState, jobs: Mapping[JobState, int], obstacle: Obstacle | None) -> str:
    """Return where a batch stands: one of refused, cancelled, done, paused, waiting and running."""
    is_done = not jobs[JobState.PENDING] and not jobs[JobState.ACTIVE]
    if batch is BatchState.REFUSED:
        return "refused"
    # Of a batch that had ended before, nothing was cancelled.
    if batch is BatchState.CANCELLED and (jobs[JobState.CANCELLED] or not is_done):
        return "cancelled"
    if is_done:
        return "done"
    if batch is BatchState.PAUSED:
        return "paused"
    is_stuck = obstacle is not None and (obstacle.is_account_paused or jobs[JobState.ACTIVE] == 0)
    return "waiting" if is_stuck else "running"


def read(tx: Connection, batch: BatchRow, *, now: datetime, wallet_floor: int | None = None) -> Overview:
    """Return the overview of one batch as it is now; ``wallet_floor`` is the balance that nodes must leave."""
    batch = batches.by_id(tx, batch.id) or batch
    jobs = job_counts.of_batches(tx, [batch.id])[batch.id]
    is_unfinished = jobs[JobState.PENDING] + jobs[JobState.ACTIVE] > 0
    balances = entries.balances(tx, batch.id)
    return Overview(
        batch=batch,
        jobs=jobs,
        held=balances[CreditAccount.HELD],
        reserved=balances[CreditAccount.RESERVED],
        spent=balances[CreditAccount.SPENT],
        obstacle=obstacle(tx, batch, now=now, wallet_floor=wallet_floor) if is_unfinished else None,
        not_downloaded=results.not_downloaded_of_batch(tx, batch.id) if jobs[JobState.ACTIVE] else NotDownloaded(),
        not_as_ordered=queries_results.count_not_as_ordered(tx, batch.id, batch.size_policy),
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


_DEAD_ROWS = text("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'account'::regclass")


def dead_rows(tx: Connection) -> int:
    """Return how many dead rows the table has that every round of dispatch reads, as the server last counted them."""
    return int(tx.execute(_DEAD_ROWS).scalar_one())


@dataclass(frozen=True, kw_only=True)
class Pause:
    """An account's pause; ``reason`` None: it is not paused."""

    reason: str | None
    message: str | None
    since: datetime | None


def account_pause(tx: Connection, account: str) -> Pause | None:
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


NEAREST_TO_WORKING = """
    pause_reason IS NOT NULL, coalesce(blocked_until > {now}, false), coalesce(wallet_left, 1) < 1, name"""
"""In this order the first account of a pool is the one that is nearest to working: what stops it stops all of them."""
_OBSTACLES = text(f"""
    SELECT b.id, b.state, EXISTS (SELECT FROM job WHERE batch_id = b.id AND state = 'pending') AS has_pending,
        (SELECT concat_ws(': ', actor, reason) FROM change WHERE subject = 'batch:' || b.id AND field = 'state'
            AND after = 'paused' ORDER BY changed_at DESC, id DESC LIMIT 1) AS paused_by,
        a.name AS account, a.pause_reason, a.pause_message, a.wallet_left, a.wallet_read_at, b.credit_cap, b.committed,
        b.owner, c.monthly_cap,
        CASE WHEN a.blocked_until > :now THEN a.blocked_until END AS blocked,
        coalesce(m.committed, 0) AS month_committed,
        CASE WHEN b.state = 'open' THEN {NEXT.format(batch="b", account="a.id")} END AS price,
        ({provider_health.AS_JSON.format(account_id="a.id")} AND EXISTS (
            SELECT FROM job WHERE batch_id = b.id AND model = p.model AND state = 'pending')) AS paused_models
    FROM batch b JOIN LATERAL (
        SELECT * FROM account WHERE account.id = b.account_id OR (b.pool IS NOT NULL AND account.id IN (
            SELECT account_id FROM batch_account WHERE batch_id = b.id))
        ORDER BY {NEAREST_TO_WORKING.format(now=":now")}
        LIMIT 1) a ON true
    LEFT JOIN owner_cap c ON c.owner = b.owner
    LEFT JOIN owner_month m ON m.owner = b.owner AND m.month = :month
    WHERE b.id = ANY(:ids)""")


def obstacle(tx: Connection, batch: BatchRow, *, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    """Return what keeps an open batch's jobs from going on; None: nothing does."""
    return obstacles(tx, [batch], now=now, wallet_floor=wallet_floor, active={batch.id}).get(batch.id)


def obstacles(
    tx: Connection,
    listed: Sequence[BatchRow],
    *,
    now: datetime,
    wallet_floor: int | None,
    active: Collection[UUID],
) -> dict[UUID, Obstacle]:
    """Return what keeps the jobs of each of these open batches from going on, where something does.

    ``active`` are those with active jobs: only these have steps that may be tried again. Two statements, however many
    batches there are.
    """
    values = {"ids": [each.id for each in listed], "now": now, "month": budgets.month_of(now)}
    rows = {row.id: row for row in tx.execute(_OBSTACLES, values)}
    found = {each.id: _obstacle(each, rows[each.id], now, wallet_floor) for each in listed if each.id in rows}
    going = [batch_id for batch_id in active if batch_id in found and found[batch_id] is None]
    retried = {batch_id: _retried(reason) for batch_id, reason in most_frequent_retries(tx, going).items()}
    return {batch_id: each for batch_id, each in found.items() if each is not None} | retried


def _obstacle(batch: BatchRow, found: Any, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    if found.state == BatchState.PAUSED and found.has_pending:
        return _held_back(batch, found.paused_by)
    if found.pause_reason is not None:
        return _paused(found.account, PauseReason(found.pause_reason), found.pause_message)
    if limit := _limit_of_next(batch, found, now, wallet_floor):
        return limit
    if found.blocked is not None:
        reason = f"the provider asked to wait until {found.blocked:%Y-%m-%d %H:%M:%S} UTC"
        return Obstacle(
            reason=reason,
            is_account_paused=False,
            ends_by_itself=True,
            next_step=f"nothing; work resumes then, or at once with `darkroom account resume {found.account}`",
        )
    return None


def _retried(reason: "RetryReason") -> Obstacle:
    return Obstacle(
        reason=str(reason),
        is_account_paused=False,
        ends_by_itself=True,
        next_step="nothing; work resumes by itself, and `darkroom doctor` checks each part",
    )


def _held_back(batch: BatchRow, paused_by: str | None) -> Obstacle:
    return Obstacle(
        reason=f"batch paused by {paused_by}" if paused_by else "batch paused",
        is_account_paused=False,
        ends_by_itself=False,
        next_step=f"`darkroom resume {batch.id}`",
    )


def next_step_of(reason: PauseReason, *, account: str) -> str:
    """Return what a person can do about the pause of the account with that name."""
    steps = {
        PauseReason.OPERATOR: f"`darkroom account resume {account}`",
        PauseReason.RESULTS_UNREACHABLE: "fix the network route to the images, or the store; work resumes with the"
        " first image that is downloaded, and `darkroom retry BATCH` downloads those given up, free of charge",
        PauseReason.PROVIDER_FAILING: "nothing; one job at a time probes whether the provider works again",
        PauseReason.OUTCOMES_UNKNOWN: "nothing; one job at a time probes whether the provider answers again;"
        " `darkroom audit in-doubt` lists what may have been paid",
        PauseReason.STORE_UNAVAILABLE: _STORE_STEP,
        PauseReason.INSUFFICIENT_CREDITS: "top up the wallet; work resumes by itself",
        PauseReason.PUBLIC_API_DISABLED: "nothing; work resumes by itself when the provider is back",
    }
    return steps.get(reason, "fix the key (RIVYA_API_KEY) or its scopes; work resumes by itself")


def _paused(account: str, reason: PauseReason, message: str | None) -> Obstacle:
    words = f" ({message})" if message else ""
    return Obstacle(
        reason=f"account paused: {reason}{words}",
        is_account_paused=True,
        ends_by_itself=reason.ends_by_itself or reason.sends_canaries or reason is PauseReason.STORE_UNAVAILABLE,
        next_step=next_step_of(reason, account=account),
    )


def _limit_of_next(batch: BatchRow, found: Any, now: datetime, wallet_floor: int | None) -> Obstacle | None:
    """Return what keeps the next pending jobs from being begun: their model, or a limit."""
    if found.paused_models is not None:
        return _without_model(provider_health.paused_model_from_json(found.paused_models))
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
    room = pace.spendable_credits(left=found.wallet_left, read_at=found.wallet_read_at, floor=wallet_floor, now=now)
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


RETRIES_SHOWN_FROM = 2
"""Tries that failed in a row: one alone is nothing unusual. What waits for the store counts no tries."""


@dataclass(frozen=True, kw_only=True)
class RetryReason:
    """Steps of one kind that have failed at each of their last tries."""

    kind: StepKind
    count: int
    error: str
    """The words of the latest of them."""
    next_at: datetime

    def __str__(self) -> str:
        """Return it in one line."""
        words = STEP_WORDS[self.kind]
        what = f"1 {words.one} is" if self.count == 1 else f"{self.count:,} {words.many} are"
        return f"{what} tried again: {self.error}; next try {self.next_at:%Y-%m-%d %H:%M:%S} UTC"


_MOST = text(f"""
    SELECT DISTINCT ON (g.batch_id) g.batch_id, s.kind, count(*) AS jobs,
        (array_agg(s.error ORDER BY s.due_at DESC))[1] AS error, min(s.due_at) AS next_at
    FROM {steps.WITH_GENERATION}
    WHERE g.batch_id = ANY(:ids) AND s.error IS NOT NULL AND (s.attempts >= :attempts OR starts_with(s.error, :store))
    GROUP BY g.batch_id, s.kind ORDER BY g.batch_id, count(*) DESC, s.kind""")


def most_frequent_retries(tx: Connection, ids: Sequence[UUID]) -> dict[UUID, RetryReason]:
    """Return the kind of step at which most retried jobs of each batch are, where there are any."""
    values = {"ids": list(ids), "attempts": RETRIES_SHOWN_FROM, "store": STORE_UNAVAILABLE}
    return {
        row.batch_id: RetryReason(kind=StepKind(row.kind), count=row.jobs, error=row.error, next_at=row.next_at)
        for row in (tx.execute(_MOST, values) if ids else ())
    }
