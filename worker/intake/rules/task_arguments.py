"""The arguments that each of Darkroom's own tasks takes; all else in their queues is refused before it runs."""

from uuid import UUID

from worker.core.rules.fault import quoted
from worker.engine.rules.upkeep import UpkeepKind
from worker.intake.rules.delivery import PROBE, STEPS, UPKEEP, Call, Unreadable

MOST_TICKETS = 8
"""Tickets in one message: a thread does them one after the other, and waits up to a second for each."""

_FENCE_MAX = 2**31
_LATEST = 253_402_300_799.0
"""The last second of the year 9999, in seconds since 1970."""


def check(task: str, call: Call) -> None:
    """Raise Unreadable unless the task can be called so."""
    if call.kwargs:
        raise Unreadable("a message of Darkroom's own has no keyword arguments")
    if task in STEPS:
        _check_tickets(call.args)
    elif task == UPKEEP:
        _check_kind(call.args)
    elif task == PROBE and call.args:
        raise Unreadable("a probe has no arguments")


def _check_kind(args: tuple[object, ...]) -> None:
    if len(args) != 1 or not isinstance(args[0], str) or args[0] not in set(UpkeepKind):
        raise Unreadable("the one argument of upkeep must be a kind of upkeep that this version knows")


def _check_tickets(args: tuple[object, ...]) -> None:
    if len(args) != 1 or not isinstance(args[0], list):
        raise Unreadable("the one argument must be a list of tickets")
    if len(args[0]) > MOST_TICKETS:
        raise Unreadable(f"there are {len(args[0]):,} tickets, permitted are {MOST_TICKETS}")
    for ticket in args[0]:
        _check_ticket(ticket)


def _check_ticket(ticket: object) -> None:
    if not isinstance(ticket, list) or len(ticket) != 3:  # noqa: PLR2004 - job, fence, instant
        raise Unreadable("a ticket must be a list of three: the id of a job, its fence, the instant of its slot")
    job_id, fence, not_before = ticket
    if not _is_uuid(job_id):
        raise Unreadable(f"{quoted(job_id)} is not the id of a job")
    if not isinstance(fence, int) or isinstance(fence, bool) or not 0 <= fence < _FENCE_MAX:
        raise Unreadable("a fence must be a whole number, 0 or more")
    if not _is_instant(not_before):
        raise Unreadable("the instant of a slot must be in seconds since 1970")


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def _is_instant(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST
