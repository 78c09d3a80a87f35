"""kombu's Redis transport, which no content of a list or a channel can make fail.

kombu 5.7 decodes what it pops before any handler of ours runs: garbage ends the event loop, and with it the node, or
stays among the unacknowledged messages and ends the next one.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from queue import Empty
from typing import Any, ClassVar
from uuid import uuid4

import structlog
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str

from worker.intake.rules import delivery, envelope

log = structlog.get_logger(__name__)

_SHOWN_BYTES = 300
"""Of an unreadable message in a line of the log."""

_PARTS_OF_A_BINDING = 3
"""Routing key, pattern and queue."""

_REMOTE_CONTROL = ("celery.pidbox", "reply.celery.pidbox")
"""Celery's exchanges that a node binds queues to, or answers on."""

_CANNOT_BE_READ = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
"""What kombu raises on the content of a message that was published."""


def _on_keys_of_its_own(method: Callable[..., Any]) -> Callable[..., Any]:
    """Try once more when a key was of another type: it is set aside first, or no node could ever go on."""

    @wraps(method)
    def tried(self: Any, *args: Any, **options: Any) -> Any:
        channel = getattr(self, "channel", self)
        try:
            return method(self, *args, **options)
        except channel.ResponseError as error:
            # Redis has no code for it but this word, behind the number of the command in a pipeline.
            if "WRONGTYPE " not in str(error):
                raise
            channel.set_aside_what_is_not_ours()
        return method(self, *args, **options)

    return tried


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """Messages that a consumer has and has not acknowledged, in a hash of Redis."""

    _record = _on_keys_of_its_own(redis.QoS.append)
    ack = _on_keys_of_its_own(redis.QoS.ack)
    reject = _on_keys_of_its_own(redis.QoS.reject)
    restore_visible = _on_keys_of_its_own(redis.QoS.restore_visible)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a delivered message as unacknowledged; if the server refuses, deliver it all the same.

        It was taken off its list before: a server without memory left gives messages out and stores nothing.
        """
        try:
            self._record(message, delivery_tag)
        except self.channel.ResponseError as error:
            log.warning("message.not_recorded", tag=delivery_tag, error=str(error)[:_SHOWN_BYTES])
            super(redis.QoS, self).append(message, delivery_tag)

    @_on_keys_of_its_own
    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002
        """Put a message back; what cannot be read is taken off, or it would fail again every ten seconds for ever."""
        with self.channel.conn_or_acquire(client) as server:
            kept = server.hget(self.unacked_key, tag)
            if kept is not None and not envelope.is_restorable(kept):
                log.warning("message.dropped", queue=self.unacked_key, tag=repr(tag), raw=repr(kept[:_SHOWN_BYTES]))
                self._remove_from_indices(tag).execute()
                return
        super().restore_by_tag(tag, client, leftmost)


class Guarded:
    """What both kinds of channel do otherwise than kombu's."""

    _put = _on_keys_of_its_own(redis.Channel._put)  # noqa: SLF001 - the parts of kombu's channel that name keys
    _size = _on_keys_of_its_own(redis.Channel._size)  # noqa: SLF001
    _queue_bind = _on_keys_of_its_own(redis.Channel._queue_bind)  # noqa: SLF001

    @_on_keys_of_its_own
    def get_table(self: Any, exchange: str) -> list[tuple[str, str, str]]:
        """Return the bindings of an exchange; other entries of the set are skipped."""
        with self.conn_or_acquire() as client:
            members = client.smembers(self.keyprefix_queue % exchange)
        parts = (member.decode("utf-8", "replace").split(self.sep) for member in members)
        return [(each[0], each[1], each[2]) for each in parts if len(each) == _PARTS_OF_A_BINDING]

    @_on_keys_of_its_own
    def _brpop_read(self: Any, **options: Any) -> bool:
        """As kombu's own (5.7.0), but for how the content is read."""
        try:
            popped = self._popped(**options)
            if not popped:
                raise Empty
            key, item = popped
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(_sound(item, queue), queue)  # noqa: SLF001 - kombu's transport and channel are one
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _popped(self: Any, **options: Any) -> Any:
        try:
            return self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise

    def set_aside_what_is_not_ours(self: Any) -> None:
        """Rename keys of another type than kombu's: the server answers no request that names one, for any queue."""
        with self.conn_or_acquire() as client:
            for key, kind in self._types_of_keys():
                found = bytes_to_str(client.type(key))
                if found not in {kind, "none"}:
                    aside = f"{key}.not-a-{kind}.{uuid4()}"
                    client.rename(key, aside)
                    log.error("broker.key_set_aside", key=key, type=found, expected=kind, renamed=aside)

    def _types_of_keys(self: Any) -> Iterator[tuple[str, str]]:
        yield from ((self.unacked_key, "hash"), (self.unacked_index_key, "zset"), (self.unacked_mutex_key, "string"))
        for name in {*delivery.TASKS, *self.active_queues, *_REMOTE_CONTROL}:
            yield self.keyprefix_queue % name, "set"
            yield from ((self._q_for_pri(name, priority), "list") for priority in self.priority_steps)

    def _get(self: Any, queue: str) -> dict[str, Any]:
        """Pop one message at once, as ``basic_get`` does."""
        with self.conn_or_acquire() as client:
            for priority in self.priority_steps:
                if item := client.rpop(self._q_for_pri(queue, priority)):
                    return _sound(item, queue)
        raise Empty

    def _receive_one(self: Any, c: Any) -> Any:
        try:
            return super()._receive_one(c)  # type: ignore[misc]  # of the class that this one is mixed into
        except RecursionError as error:
            _log_unreadable(error)
            raise Empty from None

    def _deliver_fanout_message(self: Any, message: Any, exchange: str) -> bool:
        """Deliver what was published; nothing of it is kept, so what cannot be read is passed over."""
        try:
            message["headers"] = envelope.kept_headers(message.get("headers") or {})
            return bool(super()._deliver_fanout_message(message, exchange))  # type: ignore[misc]
        except _CANNOT_BE_READ as error:
            _log_unreadable(error)
            return False


def _log_unreadable(error: Exception) -> None:
    log.warning("message.dropped", queue="publish/subscribe", reason=f"{type(error).__name__}: {error}"[:_SHOWN_BYTES])


def _sound(item: Any, queue: str) -> dict[str, Any]:
    raw = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogatepass")
    return envelope.sound(raw, queue=queue, tag=str(uuid4()))


class Channel(Guarded, redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel to one Redis or Valkey server."""

    QoS: ClassVar[Any] = QoS


class SentinelChannel(Guarded, redis.SentinelChannel):  # type: ignore[misc]
    """A channel to the server that the sentinels name."""

    QoS: ClassVar[Any] = QoS


class Transport(redis.Transport):  # type: ignore[misc]
    """Redis and Valkey."""

    Channel: ClassVar[Any] = Channel


class SentinelTransport(redis.SentinelTransport):  # type: ignore[misc]
    """Redis behind sentinels."""

    Channel: ClassVar[Any] = SentinelChannel
