"""The home page: pools with work and accounts in a sentence each, what is open, in doubt, not collected, and spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection
from starlette.responses import Response

from worker.accounts.queries import account_limits
from worker.accounts.queries.account_limits import AccountView
from worker.audit.queries import flows
from worker.audit.queries.flows import Scope
from worker.audit.rules.reporting import By
from worker.batches.queries import overview, throughput
from worker.core.rules.errors import PauseReason
from worker.engine.queries import results
from worker.engine.rules.give_up import NotDownloaded
from worker.ledger.queries import budgets
from worker.node.queries import nodes
from worker.web.console.page import Visit
from worker.web.queries import home as queries
from worker.web.queries.home import Activity, OwnerMonth, PoolActivity
from worker.web.rules import wording
from worker.web.rules.identity import Right
from worker.web.rules.wording import AccountFacts, AccountState, PoolFacts

_DAYS = 30
_OWNERS_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account as the page shows it."""

    view: AccountView
    state: AccountState
    activity: Activity
    not_downloaded: NotDownloaded
    images_per_s: float
    limit_per_s: float

    @property
    def open(self) -> int:
        """Jobs that wait, in paused batches too, or are in flight."""
        return self.activity.waiting + self.activity.held_back + self.view.in_flight


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One pool with pending jobs as the page shows it."""

    name: str
    state: AccountState


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What was spent on each of the last days, and what owners have committed of their caps this month."""

    days: list[tuple[date, int]]
    today: int
    month: int
    owners: list[OwnerMonth]
    further_owners: int


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        alive = nodes.count_alive(tx)
        pooled = queries.pools(tx)
        accounts = [_account(visit, tx, name, alive, pooled) for name in account_limits.names(tx)]
        pools = [_pool(tx, each, accounts, alive) for each in pooled]
        spend = _spend(visit, tx) if visit.who.may(Right.FINANCE) else None
    return visit.render("home.html", pools=pools, accounts=accounts, spend=spend, nodes=alive)


def _pool(tx: Connection, pool: PoolActivity, accounts: Sequence[Account], alive: int) -> Pool:
    members = [each.view for each in accounts if each.view.name in pool.accounts]
    paused = [each.name for each in members if each.pause_reason is not None]
    able = [each.id for each in members if each.name not in paused]
    facts = PoolFacts(
        accounts=pool.accounts,
        paused=paused,
        nodes=alive,
        waiting=pool.waiting,
        held_back=pool.held_back,
        left_s=throughput.of_accounts(tx, able or [each.id for each in members]).duration_s(pool.waiting),
    )
    return Pool(name=pool.name, state=wording.describe_pool(facts))


def _account(visit: Visit, tx: Connection, name: str, alive: int, pools: Sequence[PoolActivity]) -> Account:
    view = account_limits.view(tx, name, now=visit.now)
    assert view is not None
    activity = queries.activity(tx, view.id, now=visit.now)
    pace = throughput.pace(tx, view.id)
    open_jobs = activity.waiting + view.in_flight
    images_per_s = activity.ended_lately / queries.LATELY.total_seconds()
    limit_per_s = pace.rate / (1 + pace.polls)
    reason = view.pause_reason
    facts = AccountFacts(
        account=name,
        pause_reason=reason,
        pause_message=view.pause_message,
        paused_at=view.paused_at,
        probe_at=view.probe_at,
        next_step="" if reason is None else overview.next_step_of(PauseReason(reason), account=name),
        blocked_until=view.blocked_until,
        nodes=alive,
        open_jobs=open_jobs,
        held_back=activity.held_back,
        pooled=sum(each.waiting for each in pools if name in each.accounts),
        images_per_s=images_per_s,
        limit_per_s=limit_per_s,
        left_s=pace.duration_s(open_jobs),
        last_ended_at=activity.last_ended_at,
    )
    return Account(
        view=view,
        state=wording.describe_account(facts, now=visit.now),
        activity=activity,
        not_downloaded=results.not_downloaded_of_account(tx, name),
        images_per_s=images_per_s,
        limit_per_s=limit_per_s,
    )


def _spend(visit: Visit, tx: Connection) -> Spend:
    today, month = visit.now.date(), budgets.month_of(visit.now)
    first = min(today - timedelta(days=_DAYS - 1), month)
    rows = flows.spent(By.DAY, Scope(as_of=visit.now, from_day=first)).rows(tx)
    found = {date.fromisoformat(row.key): row.spent for row in rows}
    days = [today - timedelta(days=back) for back in reversed(range(_DAYS))]
    owners = queries.owners(tx, month)
    return Spend(
        days=[(day, found.get(day, 0)) for day in days],
        today=found.get(today, 0),
        month=sum(spent for day, spent in found.items() if day >= month),
        owners=owners[:_OWNERS_SHOWN],
        further_owners=max(0, len(owners) - _OWNERS_SHOWN),
    )
