"""Broker messages as delivered: the task and arguments they ask for, and what a misspelt queue name means."""

import bz2
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol
from uuid import UUID

from worker.core.rules.fault import not_known, plain, quoted
from worker.core.rules.states import StepKind

BODY_MAX = 16 * 1024 * 1024
"""Bytes of a body, also after decompression: decoded they take about ten times as much, in up to 16 threads at once."""
KEPT_BYTES = 64 * 1024
"""Bytes of an unreadable message that are kept to be looked at."""
ID_MAX = 200
"""Longest message id in characters; a longer one is no id."""
ENQUEUE = "darkroom.enqueue"
STEPS = tuple(f"darkroom.{kind}" for kind in StepKind)
PROBE = "darkroom.probe"
MAINTENANCE = "darkroom.maintenance"
TASKS = (*STEPS, PROBE, MAINTENANCE, ENQUEUE)
"""The name of each task is also that of its queue, and with ``.SHOP`` behind it that of the account ``shop``."""
OF_ACCOUNTS = (*STEPS, PROBE, MAINTENANCE)
"""The tasks of one account, which only nodes with its key can do."""
DEFAULT_ACCOUNT = "default"
"""The account whose queues have no name of an account behind theirs."""
_SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")


def queue_of(task: str, account: str) -> str:
    """Return the queue of a task of an account; raises nothing whatever the account's name is."""
    suffix = suffix_of(account)
    return task if suffix is None else f"{task}.{suffix}"


def suffix_of(account: str) -> str | None:
    """Return the suffix of the queues of an account; None: none.

    A name that a broker may not take as it is stands there by its hash.
    """
    if account == DEFAULT_ACCOUNT:
        return None
    return account if _SUFFIX.fullmatch(account) else hashlib.sha256(account.encode()).hexdigest()[:16]


def task_and_suffix(queue: str) -> tuple[str, str | None]:
    """Return the task that a queue is for, and whose account's; the queue itself where it is none of Darkroom's."""
    for task in OF_ACCOUNTS:
        if queue.startswith(f"{task}.") and _SUFFIX.fullmatch(queue, len(task) + 1):
            return task, queue[len(task) + 1 :]
    return queue, None


def is_own(queue: str) -> bool:
    """Return whether a queue is one of Darkroom's, of whatever account."""
    return task_and_suffix(queue)[0] in TASKS


class Unreadable(Exception):
    """A message does not hold what its queue is for; the text says why."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, which is shown to the producer."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What arrived; every header may be of any type, or None where it is missing."""

    queue: str
    task: object
    message_id: str | None
    content_type: object = None
    compression: object = None
    eta: object = None
    expires: object = None
    body: bytes = field(default=b"", repr=False)
    """As it was received; the first bytes of the whole message where the message itself was not readable."""
    size_bytes: int
    """Of the body, or of the whole message."""
    sha256: str
    """Of the body, or of the whole message: what a message without an id is known by."""
    fault: str | None = None
    """Why the message itself was not readable."""
    traceparent: str | None = None
    """The producer's span, from a header of that name that makes sense."""

    @property
    def is_batch(self) -> bool:
        """Whether a producer waits for a batch, so that the message must leave a record."""
        return ENQUEUE in (self.queue, self.task)

    @property
    def name(self) -> str:
        """What a redelivery of the message is recognised by."""
        return self.message_id or f"sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """The arguments of a task."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def message_id(value: object) -> str | None:
    """Read the id of a message; None when it is no short, visible text."""
    is_usable = isinstance(value, str) and 0 < len(value) <= ID_MAX and value.isprintable()
    return str(value) if is_usable else None


def check_task(delivery: Delivery) -> str:
    """Return the name of the task that the message is for; raise Unreadable when it does not belong in its queue."""
    if delivery.fault is not None:
        raise Unreadable(delivery.fault)
    name = delivery.task
    if name is None:
        raise Unreadable("the header 'task' is missing: it names the task, as in Celery's message protocol, version 2")
    if not isinstance(name, str):
        raise Unreadable(f"the header 'task' must be text, not {quoted(name)}")
    if name == ENQUEUE or (name in TASKS and name == task_and_suffix(delivery.queue)[0]):
        return name
    if name in TASKS:
        raise Unreadable(f"the task {name} does not belong in the queue {plain(delivery.queue)}")
    raise Unreadable(f"the task {not_known(name, TASKS).reason}")


def call(delivery: Delivery, loads: Callable[[str], object]) -> Call:
    """Decode the body of a message of protocol 2; ``loads`` reads JSON. Raises Unreadable."""
    content_type = delivery.content_type
    if not isinstance(content_type, str) or content_type.partition(";")[0].strip().lower() != "application/json":
        shown = "missing" if content_type is None else quoted(content_type)
        raise Unreadable(f"the content type must be application/json, but is {shown}")
    body = _json(_decompressed(delivery), loads)
    if not isinstance(body, list) or len(body) != 3:  # noqa: PLR2004 - the protocol's own number
        raise Unreadable("the body must be a list of three: positional arguments, keyword arguments, an empty object")
    args, kwargs, _ = body
    if not isinstance(args, list):
        raise Unreadable("the positional arguments, first in the body, must be a list")
    if not isinstance(kwargs, dict):
        raise Unreadable("the keyword arguments, second in the body, must be an object")
    return Call(args=tuple(args), kwargs=kwargs)


def _json(body: bytes, loads: Callable[[str], object]) -> object:
    try:
        return loads(body.decode())
    except UnicodeDecodeError as error:
        raise Unreadable(f"the body is not UTF-8: the byte at {error.start} begins no character") from error
    except RecursionError as error:
        raise Unreadable("the body is nested too deeply") from error
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        # The last four come from kombu's own notation for values that JSON does not have.
        raise Unreadable(f"the body is not JSON: {plain(str(error))}") from error


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """Return at most so many bytes."""

    @property
    def eof(self) -> bool:
        """Whether the end of the data was reached."""


_LZMA_MEMORY = 128 * 1024 * 1024
"""A stream may ask for gigabytes of working memory, however short it is."""
_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "application/x-gzip": zlib.decompressobj,
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY),
}
"""What kombu calls them (5.7, ``kombu.compression``); the first one is zlib's own form."""


def _decompressed(delivery: Delivery) -> bytes:
    """Return the body as it was before it was compressed, in bounded memory."""
    if delivery.size_bytes > BODY_MAX:
        raise Unreadable(_too_large(delivery.size_bytes))
    if not delivery.compression:
        return delivery.body
    make = _DECOMPRESSORS.get(delivery.compression) if isinstance(delivery.compression, str) else None
    if make is None:
        permitted = ", ".join(_DECOMPRESSORS)
        raise Unreadable(f"the compression {quoted(delivery.compression)} is not known; permitted: {permitted}")
    decompressor = make()
    try:
        body = decompressor.decompress(delivery.body, BODY_MAX + 1)
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise Unreadable(f"the body cannot be decompressed as {delivery.compression}: {plain(str(error))}") from error
    if len(body) > BODY_MAX:
        raise Unreadable(_too_large(None))
    if not decompressor.eof:
        raise Unreadable(f"the body cannot be decompressed as {delivery.compression}: it ends too early")
    return body


def _too_large(size_bytes: int | None) -> str:
    size = "more" if size_bytes is None else f"{size_bytes:,} bytes"
    return f"the body has {size}, permitted are {BODY_MAX:,}: send it in several messages, or use `darkroom submit`"


_OTHERS = {"celery": "darkroom.enqueue", "darkroom": "darkroom.enqueue", "enqueue": "darkroom.enqueue"}
"""Celery's default queue, and halves of the name."""
_ENQUEUE = "darkroom.enqueue"
_INSTEAD_OF_THE_DOT = ("-", "_", ":", "/", "")


def meant(name: str) -> str | None:
    """Return the queue that a producer of this one meant; None for a queue of Darkroom's own, or of another kind."""
    if is_own(name):
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
    elif task == MAINTENANCE:
        _check_name(call.args)
    elif task == PROBE and call.args:
        raise Unreadable("a probe has no arguments")


def _check_name(args: tuple[object, ...]) -> None:
    if len(args) != 1 or not isinstance(args[0], str) or not 0 < len(args[0]) <= ID_MAX:
        raise Unreadable("the one argument of maintenance must be the name of a maintenance job")


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
