"""Celery's consumer, which outlives a broker that was away, and whatever a message holds.

A channel of kombu's Redis transport (5.7) that was closed while the broker was away has no connection left. What is
still asked of it, an acknowledgement or to put messages back, then raises AttributeError instead of one of the
connection errors that Celery logs and passes over, and would end the whole process.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from celery.worker import consumer
from vine import promise as default_promise

from worker.node.broker.guard import checked

log = structlog.get_logger(__name__)

_Blueprint: Any = consumer.Consumer.Blueprint
_THEIR_CONTROL = "celery.worker.consumer.control:Control"
_OUR_CONTROL = "worker.node.broker.remote_control:Control"


def _steps() -> list[str]:
    """Return Celery's steps with our remote control; raise ValueError when Celery has no step of that name any more."""
    steps: list[str] = list(_Blueprint.default_steps)
    steps[steps.index(_THEIR_CONTROL)] = _OUR_CONTROL
    return steps


class Consumer(consumer.Consumer):
    """Lets go of a channel that is gone: its messages come again, and change nothing then."""

    class Blueprint(_Blueprint):  # type: ignore[misc]  # the stub knows it as a variable
        """Celery's parts of a consumer, with remote control that is closed by default."""

        default_steps: ClassVar[list[str]] = _steps()

    def __init__(self, *args: Any, **options: Any) -> None:
        """Leave out mingle and gossip: nodes know each other from the database, and gossip runs tasks for events."""
        quiet = {**(options.get("worker_options") or {}), "without_mingle": True, "without_gossip": True}
        super().__init__(*args, **{**options, "worker_options": quiet})

    def create_task_handler(self, promise: Any = default_promise) -> Callable[[Any], None]:
        """Make the function that every task message is given to; Celery sees none that was not checked."""
        handle = super().create_task_handler(promise)

        def on_message(received: Any) -> None:
            handle(checked(received, self._queue_of(received)))

        self._on_message = on_message
        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Treat a message that kombu could not read like any other: the check says what is wrong with it."""
        log.debug("message.not_decoded", error=str(exc))
        self._on_message(message)

    def _queue_of(self, received: Any) -> str:
        """Return the queue that a message came from; its routing key is the producer's word only."""
        tag = received.delivery_info.get("consumer_tag")
        active: dict[str, str] = self.task_consumer._active_tags if tag else {}  # type: ignore[attr-defined]  # noqa: SLF001
        by_tag = {each: queue for queue, each in active.items()}
        return by_tag.get(tag) or str(received.delivery_info.get("routing_key"))

    def call_soon_ack(self, p: Callable[..., object], *args: object, **kwargs: object) -> Any:
        """Acknowledge in the event loop, as far as there is still a channel to do it on."""
        return super().call_soon_ack(_forgiving, p, *args, **kwargs)  # type: ignore[misc]  # newer than its stub

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the broken connection, so that the next one is made."""
        _forgiving(super().on_connection_error_after_connected, exc)


def _forgiving(call: Callable[..., object], *args: object, **kwargs: object) -> None:
    try:
        call(*args, **kwargs)
    except AttributeError as error:
        log.warning("broker.channel_gone", error=str(error))
