"""Celery's consumer, which outlives a broker that was away.

A channel of kombu's Redis transport (5.7) that was closed while the broker was away has no connection left. What is
still asked of it, an acknowledgement or to put messages back, then raises AttributeError instead of one of the
connection errors that Celery logs and passes over, and would end the whole process.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker import consumer

log = structlog.get_logger(__name__)


class Consumer(consumer.Consumer):
    """Lets go of a channel that is gone: its messages come again, and change nothing then."""

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
