"""A broker message as it was delivered, and the call that it asks for."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from worker.core.rules.fault import not_known, plain, quoted

BODY_MAX = 16 * 1024 * 1024
"""Bytes of a body, also after decompression: decoded they take about ten times as much, in up to 16 threads at once."""

KEPT_BYTES = 64 * 1024
"""Bytes of an unreadable message that are kept to be looked at."""

ID_MAX = 200
"""Longest message id in characters; a longer one is no id."""

ENQUEUE = "darkroom.enqueue"
STEPS = ("darkroom.upload", "darkroom.submit", "darkroom.poll", "darkroom.collect")
PROBE = "darkroom.probe"
UPKEEP = "darkroom.upkeep"
TASKS = (*STEPS, PROBE, UPKEEP, ENQUEUE)
"""The name of each task is also that of its queue."""


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
    if name == ENQUEUE or (name in TASKS and name == delivery.queue):
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
