"""Credits that are held or reserved and not decided yet, by how long: from the rows of generations that are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from worker.audit.rules.reporting import AgeClass, age_class
from worker.core.rules.states import LIVE_GENERATIONS, GenerationState


@dataclass(frozen=True, kw_only=True)
class Open:
    """What has been open for so long."""

    age: AgeClass
    generations: int
    credits: int


# By hours, so that the classes are those of the report, whose borders are whole hours.
_OPEN = text("""
    SELECT date_bin('1 hour', admitted_at, CAST(:now AS timestamptz)) AS since, count(*) AS generations,
        sum(coalesce(reserved, held))::bigint AS credits
    FROM generation WHERE state = ANY(:states) GROUP BY 1""")
_STATES = sorted([*LIVE_GENERATIONS, GenerationState.IN_DOUBT])


def by_age(tx: Connection, *, now: datetime) -> Sequence[Open]:
    """Return what is open in each class of age, the youngest first."""
    found = dict.fromkeys(AgeClass, (0, 0))
    for row in tx.execute(_OPEN, {"now": now, "states": _STATES}):
        # A bin ends an hour after it begins: the youngest in it decides, and no border of a class is inside of one.
        age = age_class(now - row.since - timedelta(hours=1))
        generations, credits_ = found[age]
        found[age] = (generations + row.generations, credits_ + row.credits)
    return [Open(age=age, generations=count, credits=credits_) for age, (count, credits_) in found.items()]
