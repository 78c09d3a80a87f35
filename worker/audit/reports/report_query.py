"""What is asked of a report, in a form that can be written down as evidence and asked again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from worker.audit.queries.flows import Scope
from worker.audit.rules.reporting import By, ReportName, SpendBy


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """One report with its parameters; those that it does not know are None."""

    report: ReportName
    as_of: datetime
    by: By | SpendBy | None = None
    owner: str | None = None
    batch_id: UUID | None = None
    from_day: date | None = None
    to_day: date | None = None
    job_id: UUID | None = None
    subject: str | None = None
    """Changes: the beginning of what was changed."""
    near_s: int | None = None
    """Reconciliation: how many seconds around a reading an entry may be on its other side."""
    top_up_from: int | None = None
    """Reconciliation: the smallest rise that counts as a top-up."""

    @property
    def scope(self) -> Scope:
        """Which entries are looked at."""
        return Scope(
            as_of=self.as_of,
            owner=self.owner,
            batch_id=self.batch_id,
            from_day=self.from_day,
            to_day=self.to_day,
        )

    def covers(self, instant: datetime) -> bool:
        """Whether the instant lies on one of the days, UTC, that were asked for."""
        day = instant.astimezone(UTC).date()
        return (self.from_day is None or day >= self.from_day) and (self.to_day is None or day <= self.to_day)

    @property
    def parameters(self) -> dict[str, str | int | None]:
        """All that was asked beside the report's name and its instant, without what was left open."""
        named = {
            "by": self.by,
            "owner": self.owner,
            "batch_id": self.batch_id,
            "from_day": self.from_day,
            "to_day": self.to_day,
            "job_id": self.job_id,
            "subject": self.subject,
            "near_s": self.near_s,
            "top_up_from": self.top_up_from,
        }
        return {
            name: value if isinstance(value, int) else str(value) for name, value in named.items() if value is not None
        }


def again(report: str, as_of: str, parameters: Mapping[str, str | int | None]) -> ReportQuery:
    """Return what was asked from its written form; raise ValueError or KeyError when it is not one."""
    name = ReportName(report)
    by = str(parameters["by"]) if "by" in parameters else None
    days = {key: date.fromisoformat(str(parameters[key])) for key in ("from_day", "to_day") if key in parameters}
    ids = {key: UUID(str(parameters[key])) for key in ("batch_id", "job_id") if key in parameters}
    numbers = {key: int(str(parameters[key])) for key in ("near_s", "top_up_from") if key in parameters}
    owner, subject = parameters.get("owner"), parameters.get("subject")
    return ReportQuery(
        report=name,
        as_of=datetime.fromisoformat(as_of),
        by=None if by is None else SpendBy(by) if name is ReportName.SPEND else By(by),
        owner=None if owner is None else str(owner),
        subject=None if subject is None else str(subject),
        from_day=days.get("from_day"),
        to_day=days.get("to_day"),
        batch_id=ids.get("batch_id"),
        job_id=ids.get("job_id"),
        near_s=numbers.get("near_s"),
        top_up_from=numbers.get("top_up_from"),
    )
