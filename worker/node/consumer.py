"""Celery's consumer, which outlives a broker that was away and whatever a message holds, and obeys no remote control.

A channel of kombu's Redis transport (5.7) that was closed while the broker was away has no connection left. What is
still asked of it, an acknowledgement or to put messages back, then raises AttributeError instead of one of the
connection errors that Celery logs and passes over, and would end the whole process.

Celery's remote control is closed but for ``ping``: the broker's URL is what every producer has, and Celery runs a
control command for any client that can publish to the fanout exchange ``celery.pidbox``. ``shutdown`` ends a node,
``cancel_consumer`` stops its queues, ``memdump`` shows its memory. Its gossip runs any task for an event.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from celery.worker import consumer, pidbox
from celery.worker.consumer import control
from vine import promise as default_promise

from worker.node.broker.guard import checked

log = structlog.get_logger(__name__)

OPEN = "darkroom_remote_control"
"""Celery's configuration key for ``DARKROOM_REMOTE_CONTROL``."""

_SHOWN = 100
_NAMES_MAX = 1_000
"""Nodes that one ping may name."""

_Blueprint: Any = consumer.Consumer.Blueprint
_THEIR_CONTROL = "celery.worker.consumer.control:Control"
_OUR_CONTROL = "worker.node.consumer:Control"


def _steps() -> list[str]:
    """Return Celery's steps with our remote control; raise ValueError when Celery has no step of that name any more."""
    steps: list[str] = list(_Blueprint.default_steps)
    steps[steps.index(_THEIR_CONTROL)] = _OUR_CONTROL
    return steps


class Consumer(consumer.Consumer):
    """A consumer that drops a closed channel: its messages are redelivered, which changes nothing."""

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


class Pidbox(pidbox.Pidbox):
    """A node's mailbox that answers ``ping`` and logs every other command."""

    def on_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Answer a ping that is meant for this node; nothing that a message holds may raise."""
        request = _ping_in(body)
        if request is None:
            method = body.get("method") if isinstance(body, dict) else None
            log.warning(
                "remote_control.refused", command=repr(method)[:_SHOWN], next_step="set DARKROOM_REMOTE_CONTROL=1"
            )
        elif self.hostname in request.pop("destination", [self.hostname]):  # type: ignore[attr-defined]  # left out of its stub
            # Without the message: its logical clock is the sender's word, and nothing here compares such clocks.
            super().on_message(request, None)

    def start(self, c: Any) -> None:
        """Listen, and drop what kombu cannot decode."""
        super().start(c)
        self.consumer.on_decode_error = _on_decode_error


def _ping_in(body: object) -> dict[str, Any] | None:
    """Return the parts of a ping that kombu needs, each of its proper type; None for anything else.

    A pattern of names is left out: a regular expression from outside can hold the event loop for minutes.
    """
    if not isinstance(body, dict) or body.get("method") != "ping" or body.get("pattern"):
        return None
    request: dict[str, Any] = {"method": "ping"}
    named, reply_to, ticket = body.get("destination"), body.get("reply_to"), body.get("ticket")
    if named is not None:
        if not isinstance(named, list) or len(named) > _NAMES_MAX:
            return None
        request["destination"] = named
    if reply_to is not None:
        place = {name: reply_to.get(name) for name in ("exchange", "routing_key")} if isinstance(reply_to, dict) else {}
        if not all(_is_short(each) for each in (*place.values(), ticket)) or place.get("exchange") != _REPLIES:
            return None
        request |= {"reply_to": place, "ticket": ticket}
    return request


_REPLIES = "reply.celery.pidbox"
"""The exchange to which ``celery inspect`` wants its answers; to another one a node sends nothing."""


def _is_short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) < 256 and value.isprintable()  # noqa: PLR2004 - AMQP's bound


def _on_decode_error(_: Any, error: Exception) -> None:
    """Log a control message that cannot be decoded; these are not acknowledged."""
    log.warning("remote_control.unreadable", reason=str(error)[:_SHOWN])


class Control(control.Control):
    """Starts the mailbox that the settings ask for."""

    def __init__(self, c: Any, **options: Any) -> None:
        """Put the closed mailbox in the place of Celery's own, unless it is to be open."""
        super().__init__(c, **options)
        if not c.app.conf.get(OPEN):
            self.box = Pidbox(c)
            # As Celery does: the methods of a step are those of its mailbox.
            vars(self).update(start=self.box.start, stop=self.box.stop, shutdown=self.box.shutdown)
