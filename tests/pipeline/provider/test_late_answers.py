"""An answer for a step that another worker has moved on with: nothing follows from it, and the call is kept as late."""

from collections.abc import Callable

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.core.rules.errors import ProviderError, Refused, Unavailable
from worker.storage.store import StoreUnavailable

OVERTAKE = "UPDATE step SET fence = fence + 1, lease_until = NULL RETURNING 1"
UNAVAILABLE, REFUSED = Unavailable("http_503"), Refused("validation_failed")


def overtaking(node: Node, effect: str, error: Exception | None) -> Callable[[str], None]:
    """Return a listener that lets another worker move on with the step at the first such effect, which then fails."""
    seen: list[str] = []

    def listener(now: str) -> None:
        if now != effect or effect in seen:
            return
        seen.append(effect)
        assert node.query(OVERTAKE)
        if error is not None:
            raise error

    return listener


@pytest.mark.parametrize(
    ("effect", "error", "late"),
    [
        ("after upload", None, [("upload", "ok")]),
        ("before upload", UNAVAILABLE, [("upload", "unavailable")]),
        ("before upload", REFUSED, [("upload", "refused")]),
        ("after create", None, [("create", "ok")]),
        ("before create", UNAVAILABLE, [("create", "unavailable")]),
        ("before create", REFUSED, [("create", "refused")]),
        ("after get", None, [("get", "ok")]),
        ("before get", UNAVAILABLE, [("get", "unavailable")]),
        ("after put", None, [("download", "ok")]),
        ("before put", StoreUnavailable("folder", "full"), [("download", "ok")]),
    ],
)
def test_a_call_whose_step_was_overtaken_is_written_as_late(
    effect: str, error: ProviderError | StoreUnavailable | None, late: list[tuple[str, str]], node: Node
) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})
    listener = overtaking(node, effect, error)
    node.services.client.listener = node.services.store.listener = listener  # type: ignore[attr-defined]

    node.run_until_quiet()

    found = node.query("SELECT kind, outcome FROM call WHERE is_late ORDER BY id")
    assert [(row["kind"], row["outcome"]) for row in found] == late


@pytest.mark.parametrize("fault", ["fail_generation", "never_ends"])
def test_a_poll_whose_step_was_overtaken_is_written_as_late_whatever_it_found(
    fault: str, node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, fault))
    node.services.client.listener = overtaking(node, "after get", None)  # type: ignore[attr-defined]

    node.run_until_quiet()

    assert node.query("SELECT kind, outcome FROM call WHERE is_late") == [{"kind": "get", "outcome": "ok"}]
    books.check_all_done(node, sandbox)
