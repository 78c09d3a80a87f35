"""Which worker nodes are alive, as the broker tells."""

from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.cli.context import Context
from worker.core.rules.errors import DarkroomError
from worker.node import unread_queues as unread
from worker.node.app import make_app
from worker.node.unread_queues import UnreadQueue

T = TypeVar("T")

PING_S = 1.0


class BrokerUnreachable(DarkroomError):
    """The broker does not answer, so that no node can be asked."""

    error_code = "broker_unreachable"


def alive(context: Context) -> list[str]:
    """Return the names of the worker nodes that answer within a second; raise BrokerUnreachable."""
    return _asked(context, _pinged)


def unread_queues(context: Context) -> list[UnreadQueue]:
    """Return queues with messages that no node reads; raise BrokerUnreachable."""
    return _asked(context, lambda _, connection: unread.find(connection))


def _pinged(app: Celery, connection: Any) -> list[str]:
    return sorted(app.control.inspect(timeout=PING_S, connection=connection).ping() or {})


def _asked(context: Context, ask: Callable[[Celery, Any], list[T]]) -> list[T]:
    if context.settings.broker_url is None:
        raise BrokerUnreachable("no broker is running here: start Darkroom with `darkroom up`")
    app = make_app(context.settings)
    app.conf.update(broker_connection_retry=False, broker_connection_timeout=2)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            return ask(app, connection)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerUnreachable(f"the broker does not answer: {error}") from error


def why_still(context: Context) -> str | None:
    """Return why nothing happens, as far as nodes and broker explain it."""
    try:
        found = alive(context)
    except BrokerUnreachable as error:
        return str(error)
    if found:
        return None
    return "no worker node answers: start one with `darkroom up`, or `darkroom node`"
