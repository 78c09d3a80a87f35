"""What the commands that act on batches have in common: what they take, and that they act on what it means."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from worker.cli.batches import selection
from worker.cli.batches.selection import Typed
from worker.core.rules.batch_request import Priority
from worker.core.rules.batch_state import BatchAction


def command(own: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function of a Typed: it takes the batch, the options of ``own``, then those of a Typed."""

    @functools.wraps(own)
    def run(**given: Any) -> None:
        typed = Typed(**{field.name: given.pop(field.name) for field in fields(Typed)})
        own(typed, **given)

    run.__signature__ = _signature(own)  # type: ignore[attr-defined]  # typer makes the options from it
    return run


def act(typed: Typed, action: BatchAction, *, priority: Priority | None = None, weight: int | None = None) -> None:
    """Do it to the batch that is named, or to those of the filter once their list and the effect are agreed to."""
    from worker.batches.bulk_actions import Order
    from worker.cli import signing
    from worker.cli.batches import bulk_run

    choice = selection.choice(typed)
    author = signing.author(typed.by, typed.reason)
    bulk_run.run(choice, Order(action=action, author=author, priority=priority, weight=weight))


def _signature(own: Callable[..., None]) -> inspect.Signature:
    batch, *options = inspect.signature(Typed).parameters.values()
    _typed, *of_its_own = inspect.signature(own).parameters.values()
    found = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (batch, *of_its_own, *options)]
    return inspect.Signature(found, return_annotation=None)
