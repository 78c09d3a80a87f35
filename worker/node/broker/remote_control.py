"""Celery's remote control, closed but for ``ping``: the broker's URL is what every producer has.

Celery runs a control command for any client that can publish to the fanout exchange ``celery.pidbox``:
``shutdown`` ends a node, ``cancel_consumer`` stops its queues, ``memdump`` shows its memory. Its gossip runs any task
for an event.
"""

from typing import Any

import structlog
from celery.worker import pidbox
from celery.worker.consumer import control

log = structlog.get_logger(__name__)

OPEN = "darkroom_remote_control"
"""Celery's configuration key for ``DARKROOM_REMOTE_CONTROL``."""

_SHOWN = 100
_NAMES_MAX = 1_000
"""Nodes that one ping may name."""


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
        elif self.hostname in request.pop("destination", [self.hostname]):
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
