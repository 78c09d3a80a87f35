"""Images per second of one node at a provider without limits, compared with other tools."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import create_engine, text

from ops.bench import costs, ground
from ops.bench.contenders import CONTENDERS, Contender, Stand
from ops.bench.costs import Costs, Meter
from ops.bench.ground import Ground, Sandbox

COUNTED = 200
"""Images of the separate run in which statements are counted; logging them would slow the timed one."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one contender did."""

    name: str
    images: int
    per_second: float
    """From the first create that reached the provider to the last image on record."""
    enqueue_s: float
    costs: Costs
    statements: float
    commits: float


def measure(place: Ground, contender: Contender, *, images: int, run: int) -> Outcome:
    """Let one contender render so many images, then a few more with its statements counted."""
    with (
        ground.sandbox(latency_median_s=0) as provider,
        contender.stand(place, provider, f"{contender.name}_{run}") as stand,
    ):
        enqueue_s = stand.enqueue(images)
        spent, ended_at = _render(place, provider, stand, done=images, images=images)
        began_at = datetime.fromisoformat(provider.tasks()[0]["created_at"])
        costs.log_statements(place, stand.database)
        stand.enqueue(COUNTED)
        counted, _ = _render(place, provider, stand, done=images + COUNTED, images=COUNTED)
    return Outcome(
        name=contender.name,
        images=images,
        per_second=images / (ended_at - began_at).total_seconds(),
        enqueue_s=enqueue_s,
        costs=spent,
        statements=counted.statements,
        commits=counted.commits,
    )


def here() -> Iterator[Contender]:
    """Return the contenders whose packages are installed."""
    return (contender for contender in CONTENDERS if contender.is_here)


def _render(place: Ground, provider: Sandbox, stand: Stand, *, done: int, images: int) -> tuple[Costs, datetime]:
    """Start a worker and let it finish all that is there."""
    engine = create_engine(stand.database_url, pool_size=1)

    def times() -> list[datetime]:
        with engine.begin() as tx:
            return list(tx.execute(text(stand.ended)).scalars())

    with stand.worker() as worker:
        meter = Meter(place, provider, worker, stand.broker_url)
        before, already = meter.read(), len(times())
        what = f"{done} images are done"
        ground.wait_until(lambda: len(times()) >= done, what, timeout_s=30 + images, every_s=0.5)
        after = meter.read()
    last = times()[-1]
    engine.dispose()
    return meter.costs(before, after, images=done - already), last
