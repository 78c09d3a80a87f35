"""What a planner asks for beside what has changed, as it is kept with the plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a planner asks for beside what has changed; a saved plan keeps it, so that it can be made again."""

    forced: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    """SKUs that the plan is about; None: all."""
    made_before: datetime | None = None
    credit_cap: int | None = None
    sample: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The wish as it is stored; ``read_wish`` reads it again."""
        return {
            "forced": list(self.forced),
            "only": None if self.only is None else list(self.only),
            "made_before": self.made_before.isoformat() if self.made_before else None,
            "credit_cap": self.credit_cap,
            "sample": self.sample,
        }


def read_wish(document: Mapping[str, Any]) -> PlanOptions:
    """Return the wish of a saved plan."""
    raw = document["wish"]
    made_before = raw["made_before"]
    return PlanOptions(
        forced=tuple(raw["forced"]),
        only=None if raw.get("only") is None else tuple(raw["only"]),
        made_before=None if made_before is None else datetime.fromisoformat(made_before),
        credit_cap=raw["credit_cap"],
        sample=raw["sample"],
    )
