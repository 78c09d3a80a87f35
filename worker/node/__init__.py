"""A worker node: Celery, the dispatcher and maintenance."""
