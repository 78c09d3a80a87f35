"""Check messages before Celery parses them, and run checked ones with their arguments as they are.

Celery 5.7 takes a message's headers and body for what its own producers write. A body of another form ends the process,
an ``eta`` holds a place of the prefetch window, and a task name reaches any task that is registered, its own too.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.utils.imports import symbol_by_name
from celery.worker.request import create_request_cls
from celery.worker.state import task_reserved
from kombu.message import Message

from worker.core.rules import traceparent
from worker.intake.rules import delivery as messages
from worker.intake.rules import envelope
from worker.intake.rules.delivery import ENQUEUE, Delivery, Unreadable

DROPPED = "darkroom.dropped"
"""The task that logs and counts a message which is dropped; no message from outside can name it."""


class CheckedMessage(Message):  # type: ignore[misc]  # kombu has no types
    """A message with nothing in it but a task and its arguments, which is acknowledged in place of the one received."""

    def __init__(self, received: Any, *, task: str, name: str, args: tuple[Any, ...]) -> None:
        """Take over what belongs to the delivery itself."""
        super().__init__(
            delivery_tag=received.delivery_tag,
            delivery_info=received.delivery_info,
            headers={"lang": "py", "task": task, "id": name},
            channel=received.channel,
        )
        self.arguments: tuple[list[Any], dict[str, Any], dict[str, Any]] = (list(args), {}, {})

    @property
    def payload(self) -> Any:
        """The arguments, not encoded: the task runs in threads."""
        return self.arguments


def checked(received: Any, queue: str) -> CheckedMessage:
    """Return a message that Celery can run: the task that is asked for, or the one that drops the message.

    A batch is decoded in the thread that takes it, so that a large one does not hold up the event loop.
    """
    delivery = _delivery(received, queue)
    if delivery.is_batch:
        return CheckedMessage(received, task=ENQUEUE, name=delivery.name, args=(delivery,))
    try:
        task = messages.check_task(delivery)
        call = messages.call(delivery, json.loads)
        messages.check(task, call)
    except Unreadable as error:
        return CheckedMessage(received, task=DROPPED, name=delivery.name, args=(delivery, error.reason))
    _, suffix = messages.task_and_suffix(queue)
    # Which account it is for says the queue: nobody else can put a message there for another one.
    args = call.args if suffix is None or task == ENQUEUE else (*call.args, suffix)
    return CheckedMessage(received, task=task, name=delivery.name, args=args)


def _delivery(received: Any, queue: str) -> Delivery:
    headers, body = received.headers, _bytes(received.body)
    marked = headers.get(envelope.UNREADABLE)
    is_marked = envelope.is_unreadable(marked)
    return Delivery(
        queue=queue,
        task=headers.get("task"),
        message_id=messages.message_id(headers.get("id")),
        content_type=received.content_type,
        compression=headers.get(envelope.COMPRESSION),
        eta=headers.get("eta"),
        expires=headers.get("expires"),
        body=body,
        size_bytes=marked["size"] if is_marked else len(body),
        sha256=marked["sha256"] if is_marked else hashlib.sha256(body).hexdigest(),
        fault=marked["reason"] if is_marked else None,
        traceparent=traceparent.parse(headers.get("traceparent")),
    )


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(memoryview(body))  # type: ignore[arg-type]


class CheckedTask(Task):  # type: ignore[type-arg]
    """The base of every task here: Celery's own strategy would decode the message once more, and act on its headers."""

    abstract = True
    Strategy = "worker.node.broker.guard:strategy"


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
