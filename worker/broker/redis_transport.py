"""kombu's Redis transport, which no content of a list or a channel can make fail.

kombu 5.7 decodes what it pops before any handler of ours runs: garbage ends the event loop, and with it the node, or
stays among the unacknowledged messages and ends the next one.
"""

from queue import Empty
from typing import Any, ClassVar
from uuid import uuid4

import structlog
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str

from worker.domain import envelope

log = structlog.get_logger(__name__)

_SHOWN_BYTES = 300
"""Of an unreadable message in a line of the log."""

_CANNOT_BE_READ = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
"""What kombu raises on the content of a message that was published."""


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """Messages that a consumer has and has not acknowledged, in a hash of Redis."""

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
        except self.ResponseError as error:
            # Redis has no code for it but the first word.
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._set_aside_what_is_no_list()
            raise Empty from None

    def _set_aside_what_is_no_list(self: Any) -> None:
        """Rename keys that stand where a queue should be: the server answers no request for any queue beside them."""
        with self.conn_or_acquire() as client:
            for queue in self.active_queues:
                for key in (self._q_for_pri(queue, priority) for priority in self.priority_steps):
                    if bytes_to_str(client.type(key)) not in {"list", "none"}:
                        aside = f"{key}.not-a-queue.{uuid4()}"
                        client.rename(key, aside)
                        log.error("queue.not_a_list", queue=queue, renamed=aside)

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
