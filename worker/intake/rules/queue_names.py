"""Names of queues that nothing reads, as a producer misspells them."""

from difflib import get_close_matches

from worker.intake.rules.delivery import TASKS

_OTHERS = {"celery": "darkroom.enqueue", "darkroom": "darkroom.enqueue", "enqueue": "darkroom.enqueue"}
"""Celery's default queue, and halves of the name."""

_ENQUEUE = "darkroom.enqueue"
_INSTEAD_OF_THE_DOT = ("-", "_", ":", "/", "")


def meant(name: str) -> str | None:
    """Return the queue that a producer of this one meant; None for a queue of Darkroom's own, or of another kind."""
    if name in TASKS:
        return None
    if name in _OTHERS:
        return _OTHERS[name]
    near = get_close_matches(name.casefold(), TASKS, n=1, cutoff=0.85)
    return near[0] if near else None


def misspellings() -> tuple[str, ...]:
    """Return likely misspellings of the queue that producers send to, for a broker that cannot list its queues.

    One letter left out, doubled or swapped with the next, another separator, other case, and Celery's default queue.
    """
    at = range(len(_ENQUEUE))
    found = {
        *(_ENQUEUE[:n] + _ENQUEUE[n + 1 :] for n in at),
        *(_ENQUEUE[:n] + _ENQUEUE[n] + _ENQUEUE[n:] for n in at),
        *(_ENQUEUE[:n] + _ENQUEUE[n : n + 2][::-1] + _ENQUEUE[n + 2 :] for n in at[:-1]),
        *(_ENQUEUE.replace(".", each) for each in _INSTEAD_OF_THE_DOT),
        _ENQUEUE.title(),
        _ENQUEUE.upper(),
        *_OTHERS,
    }
    return tuple(sorted(found - set(TASKS)))
