"""Schedules: what is refreshed when, the next runs in words, the last ones, and what a person does with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette.responses import Response

from worker.catalog import approving, schedule_control, scheduling
from worker.catalog.cron import BadTiming, Timing, timing
from worker.catalog.queries import catalogs, schedule_runs, schedules
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.queries.schedules import NameTaken, ScheduleRow
from worker.catalog.rules import schedule as rules
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.catalog.schedule_control import ScheduleInvalid, Wanted
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.fields import Fields
from worker.web.console.page import Visit
from worker.web.problems import Problem

_RUNS = 5
_NEXT = 3
_NEXT_OF_FORM = 5
_FIELDS = ("name", "catalog", "often", "at", "cron", "tz", "cap", "overlap", "missed")
_DONE = {
    "saved": "The schedule is saved.",
    "paused": "The schedule is paused; a run in progress continues.",
    "resumed": "The schedule is resumed. Runs that it missed are not made up for.",
    "removed": "The schedule is removed; its runs stay on record.",
    "asked": "A run was asked for; a node plans it and renders what the plan lists.",
    "skipped": "The run was skipped: another one is in progress.",
    "cancelled": "The run is cancelled, and its plan with it.",
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One schedule with its next and its last runs."""

    row: ScheduleRow
    next_at: Sequence[datetime]
    """Empty while it is paused."""
    runs: Sequence[RunRow]

    @property
    def words(self) -> str | None:
        """When it runs, in words; None: only the cron line says it."""
        return rules.in_words(self.row.cron)

    @property
    def next_in_words(self) -> list[str]:
        """The next runs on the schedule's own clock."""
        return [_in_words(at, self.row.tz) for at in self.next_at]

    def may_be_cancelled(self, run: RunRow) -> bool:
        """Whether nothing of the run can have been rendered."""
        return run.state in approving.WAITING


def show(visit: Visit) -> Response:
    """Show the page."""
    with visit.context.database.transaction() as tx:
        rows = schedules.every(tx)
        found = [
            Schedule(
                row=row,
                next_at=[] if row.paused_at else Timing(cron=row.cron, tz=row.tz).next_times(visit.now, _NEXT),
                runs=schedule_runs.of(tx, row.id, limit=_RUNS),
            )
            for row in rows
        ]
    return visit.render("schedules.html", schedules=found, did=_DONE.get(visit.asked("did"), ""))


def new(visit: Visit) -> Response:
    """Show the form of a new schedule, with its next runs once it says when."""
    given = {name: visit.request.query_params.get(name, "").strip() for name in _FIELDS}
    given |= {"overlap": given["overlap"] or OverlapPolicy.SKIP, "missed": given["missed"] or MissedPolicy.RUN_ONCE}
    given |= {"often": given["often"] or "mondays", "at": given["at"] or "02:00", "tz": given["tz"] or "UTC"}
    return _form(visit, given)


def edit(visit: Visit) -> Response:
    """Show the form of a schedule as it is, or as it was just filled in."""
    row = _found(visit)
    often, at = rules.often_of(row.cron) or (rules.OTHERWISE, "02:00")
    given = {
        "name": row.name,
        "catalog": row.catalog,
        "often": often,
        "at": at,
        "cron": row.cron,
        "tz": row.tz,
        "cap": "" if row.credit_cap is None else str(row.credit_cap),
        "overlap": row.overlap,
        "missed": row.missed,
    }
    asked = visit.request.query_params
    given |= {name: asked[name].strip() for name in _FIELDS[2:] if name in asked}
    return _form(visit, given, row)


def _form(visit: Visit, given: Fields, row: ScheduleRow | None = None, wrong: str = "") -> Response:
    """Show the form with the next runs in words; what was wrong with it is said, and nothing typed is lost."""
    with visit.context.database.transaction() as tx:
        names = [each.name for each in catalogs.all_by_name(tx)]
    next_runs, unclear = [], ""
    try:
        wanted = timing(_cron(given), given["tz"], now=visit.now)
        next_runs = [_in_words(at, wanted.tz) for at in wanted.next_times(visit.now, _NEXT_OF_FORM)]
    except BadTiming as error:
        unclear = str(error)
    return visit.render(
        "schedule.html",
        status=422 if wrong else 200,
        row=row,
        given=given,
        catalogs=names,
        often=rules.OFTEN,
        otherwise=rules.OTHERWISE,
        overlaps=list(OverlapPolicy),
        misseds=list(MissedPolicy),
        next_runs=next_runs,
        unclear=unclear,
        wrong=wrong,
        path="/schedules/new" if row is None else f"/schedules/{row.id}/edit",
    )


def create(visit: Visit, fields: Fields) -> Response:
    """Add a schedule; nothing is spent now."""
    given, context = _given(fields), visit.context
    try:
        with context.database.transaction() as tx:
            catalog_id = _catalog_id(tx, given["catalog"])
        by = context.author(visit.who)
        schedule_control.add(
            context.database, by, given["name"], catalog_id, _wanted(given), account_id=context.account_id
        )
    except (ScheduleInvalid, NameTaken) as error:
        return _form(visit, given, wrong=str(error))
    return _back(visit, "saved")


def change(visit: Visit, fields: Fields) -> Response:
    """Change when a schedule runs and what a run may cost."""
    row, given = _found(visit), _given(fields)
    try:
        by = visit.author(fields)
        schedule_control.change(visit.context.database, by, row.id, _wanted(given))
    except ScheduleInvalid as error:
        return _form(visit, {**given, "name": row.name, "catalog": row.catalog}, row, str(error))
    return _back(visit, "saved")


def pause(visit: Visit, fields: Fields) -> Response:  # noqa: ARG001 - the form has no fields
    """Begin no further run."""
    schedule_control.pause(visit.context.database, visit.context.author(visit.who), _found(visit).id)
    return _back(visit, "paused")


def resume(visit: Visit, fields: Fields) -> Response:  # noqa: ARG001 - the form has no fields
    """Go on."""
    schedule_control.resume(visit.context.database, visit.context.author(visit.who), _found(visit).id)
    return _back(visit, "resumed")


def remove(visit: Visit, fields: Fields) -> Response:
    """Take a schedule away, with its runs that wait."""
    by = visit.author(fields)
    approving.remove(visit.context.database, _found(visit).id, by)
    return _back(visit, "removed")


def run_now(visit: Visit, fields: Fields) -> Response:  # noqa: ARG001 - the form has no fields
    """Ask for a run beside the fire times."""
    by, database = visit.context.author(visit.who), visit.context.database
    run_id = scheduling.run_now(database, _found(visit).id, by=by.actor, now=by.now, new_id=by.new_id)
    with database.transaction() as tx:
        run = schedule_runs.by_id(tx, run_id)
    return _back(visit, "asked" if run.ended_at is None else "skipped")


def cancel_run(visit: Visit, fields: Fields) -> Response:
    """End a run that waits, and its plan."""
    run_id, by = visit.call.id("run_id"), visit.context.author(visit.who)
    with visit.context.database.transaction() as tx:
        if not schedule_runs.is_known(tx, run_id):
            raise not_found("run")
    if not fields.get("reason"):
        raise Problem(422, "request_invalid", "To cancel a run, say why: it is kept with the run.")
    approving.cancel(visit.context.database, run_id, by=by.actor, reason=fields["reason"], now=by.now)
    return _back(visit, "cancelled")


def _given(fields: Fields) -> dict[str, str]:
    return {name: fields.get(name, "") for name in _FIELDS}


def _cron(given: Fields) -> str:
    """Return the cron line that is meant; where the time cannot be read, what was typed, for the message."""
    if given["often"] == rules.OTHERWISE:
        return given["cron"]
    return rules.cron_of(given["often"], given["at"]) or given["at"]


def _wanted(given: Fields) -> Wanted:
    """Return what is wanted; raise ScheduleInvalid."""
    digits = given["cap"].replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**31):
        raise ScheduleInvalid("Say how many credits one run may commit at most: a whole number, 1 or more.")
    try:
        policies: dict[str, Any] = {
            "overlap": OverlapPolicy(given["overlap"]),
            "missed": MissedPolicy(given["missed"]),
        }
    except ValueError:
        raise ScheduleInvalid("Choose what happens when runs overlap, and when they were missed.") from None
    return Wanted(cron=_cron(given), tz=given["tz"], credit_cap=int(digits), **policies)


def _catalog_id(tx: Connection, name: str) -> Any:
    found = catalogs.by_name(tx, name)
    if found is None:
        raise ScheduleInvalid("Choose the catalog that it refreshes.")
    return found.id


def _found(visit: Visit) -> ScheduleRow:
    schedule_id = visit.call.id("schedule_id")
    with visit.context.database.transaction() as tx:
        found = next((each for each in schedules.every(tx) if each.id == schedule_id), None)
    if found is None:
        raise not_found("schedule")
    return found


def _in_words(at: datetime, tz: str) -> str:
    local = at.astimezone(ZoneInfo(tz))
    return f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({local:%z})"


def _back(visit: Visit, did: str) -> Response:
    return page.redirect(visit.request, f"/schedules?did={did}")
