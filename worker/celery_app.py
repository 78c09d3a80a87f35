"""The entry point of ``celery -A worker.celery_app worker``."""

from worker.node.app import app

__all__ = ["app"]
