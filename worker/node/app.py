"""The Celery application: ready-now wake-ups by id, and the entry point for producers that only speak Celery."""

from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_shutting_down
from kombu import Exchange, Queue

from worker import logs, settings
from worker.intake.rules import delivery
from worker.node import broker, consumer, heartbeat
from worker.node.bootsteps import Dispatcher
from worker.node.process import SPARE_THREADS

ENQUEUE_QUEUE = delivery.ENQUEUE
QUEUES = delivery.TASKS

broker.install()


def make_app(current: settings.Settings) -> Celery:
    """Make the application for one broker."""
    app = Celery("darkroom", include=["worker.node.tasks"], task_cls="worker.node.broker.guard:CheckedTask")
    app.conf.update(_configuration(current))
    app.steps["worker"].add(Dispatcher)
    return app


def _configuration(current: settings.Settings) -> dict[str, Any]:
    url = current.broker_url.get_secret_value() if current.broker_url else None
    return {
        "broker_url": url,
        "broker_transport_options": _transport_options(url or "", current.broker_timeout.total_seconds()),
        # A connection that is silent for two of these is lost; only AMQP has them.
        "broker_heartbeat": max(2.0, current.broker_timeout.total_seconds()),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A server that refuses a command (a replica after a failover, no memory, no permission) may take it later.
        "broker_channel_error_retry": True,
        "broker_pool_limit": threads(current) + 4,
        "broker_pool_acquire_timeout": 10,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_queues": [_queue(name) for name in queues(current)],
        "task_default_queue": ENQUEUE_QUEUE,
        "task_default_exchange": ENQUEUE_QUEUE,
        "task_default_routing_key": ENQUEUE_QUEUE,
        "task_create_missing_queues": False,
        "task_routes": {name: {"queue": name} for name in QUEUES if name in queues(current)},
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_reject_on_worker_lost": False,
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0.1,
            "interval_step": 0.3,
            "interval_max": 1,
        },
        "worker_pool": "threads",
        "worker_consumer": "worker.node.consumer:Consumer",
        "worker_concurrency": threads(current),
        "worker_prefetch_multiplier": 1,
        "worker_disable_rate_limits": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 30,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        consumer.OPEN: current.remote_control,
        "control_queue_exclusive": True,
        "event_queue_exclusive": True,
    }


def queues(current: settings.Settings) -> tuple[str, ...]:
    """Return the queues that a node reads: those of the accounts that it has keys for, and that of producers."""
    accounts = [each.account for each in current.served] or [current.account]
    own = [delivery.queue_of(task, account) for account in accounts for task in delivery.OF_ACCOUNTS]
    return (*own, ENQUEUE_QUEUE)


def threads(current: settings.Settings) -> int:
    """Return the threads of a node: each of several accounts has as many for its steps as one account would have."""
    count = len(current.served)
    return current.concurrency if count < 2 else count * (current.concurrency + SPARE_THREADS)  # noqa: PLR2004


def _queue(name: str) -> Queue:
    """Declare a queue exactly as a plain Celery producer does, so that neither side meets a mismatch."""
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def _transport_options(broker: str, timeout_s: float) -> dict[str, Any]:
    if broker.startswith("amqp"):
        return {"confirm_publish": True, "write_timeout": timeout_s}
    return {
        # Longer than any task here: the longest is one enqueue of a large message.
        "visibility_timeout": 900,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "max_connections": 200,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


@worker_shutting_down.connect
def _end_within_grace(**_: object) -> None:
    """Bound the time of ending, from the signal on: the thread that should act on it may wait for a silent socket."""
    heartbeat.end_after(settings.load().stop_grace.total_seconds())


@setup_logging.connect
def _set_up_logging(**_: object) -> None:
    current = settings.load()
    logs.configure(style=current.log_format, level=current.log_level)


app = make_app(settings.load())
