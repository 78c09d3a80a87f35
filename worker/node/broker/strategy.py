"""How Celery runs a checked message: at once, with the arguments as they are."""

from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.utils.imports import symbol_by_name
from celery.worker.request import create_request_cls
from celery.worker.state import task_reserved


class CheckedTask(Task):  # type: ignore[type-arg]
    """The base of every task here: Celery's own strategy would decode the message once more, and act on its headers."""

    abstract = True
    Strategy = "worker.node.broker.strategy:strategy"


def strategy(task: Any, app: Celery, consumer: Any) -> Callable[..., None]:
    """Make the function by which Celery starts a task for a message of type CheckedMessage."""
    request_class: Any = create_request_cls(
        symbol_by_name(task.Request), task, consumer.pool, consumer.hostname, consumer.event_dispatcher, app=app
    )

    def start(message: Any, _: object, ack: Any, reject: Any, callbacks: Any) -> None:
        request = request_class(
            message,
            on_ack=ack,
            on_reject=reject,
            app=app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=task,
            connection_errors=consumer.connection_errors,
            body=message.payload,
            headers=message.headers,
            decoded=True,
            utc=True,
        )
        task_reserved(request)
        for callback in callbacks or ():
            callback(request)
        consumer.on_task_request(request)

    return start
