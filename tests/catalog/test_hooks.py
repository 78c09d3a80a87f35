"""Who wants to be told what went live is told, with a signature: by a POST, or by a command."""

import hashlib
import hmac
import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.catalog.receivers import SECRET, add, owed, send
from tests.catalog.team import Team, accept
from worker.catalog import hooks as telling
from worker.catalog.going_live import go_live
from worker.catalog.hook_calls import NotTaken, command
from worker.catalog.hooks import BadHook, Sent
from worker.catalog.queries import hooks
from worker.catalog.rules.catalog import RenderState
from worker.catalog.rules.hook import HookKind

TWO = {"a": "red", "b": "blue"}


def test_a_receiver_is_told_of_each_item_with_its_file_and_hash(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live", method="POST").respond_with_data("")

    sent = send(told)

    request, _ = httpserver.log[0]
    message = json.loads(request.data)
    item = message["items"][0]
    stored = told.node.services.store.read(item["file"])
    assert sent == Sent(delivered=1)
    assert (message["event"], message["catalog"], item["sku"]) == ("live", "mugs", "a")
    assert item["sha256"] == hashlib.sha256(stored).hexdigest()
    assert item["url"] == Path(told.node.services.store.location(item["file"])).as_uri()


def test_a_post_is_signed_over_its_time_and_its_body(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live").respond_with_data("")

    send(told)

    request, _ = httpserver.log[0]
    stamp = request.headers["Darkroom-Timestamp"]
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + request.data, hashlib.sha256).hexdigest()
    assert request.headers["Darkroom-Signature"] == f"v1={expected}"
    assert stamp == str(int(told.clock().timestamp()))
    assert request.headers["Darkroom-Delivery"] == json.loads(request.data)["id"]


def test_the_message_is_written_with_what_it_tells_of_or_not_at_all(reviewing: Team, httpserver: HTTPServer) -> None:
    reviewing.stock({"a": "red"})
    add(reviewing, httpserver.url_for("/live"))
    reviewing.refresh()
    waiting = reviewing.candidates()["a"]

    with suppress(ZeroDivisionError), reviewing.node.services.database.transaction() as tx:
        go_live(
            tx,
            [waiting.render_id],
            states=[RenderState.CANDIDATE],
            actor="rita",
            reason="accepted",
            now=reviewing.clock(),
            new_id=reviewing.node.services.new_id,
        )
        raise ZeroDivisionError
    undone = (reviewing.live(), owed(reviewing))
    reviewing.decide(*accept([waiting]))

    assert undone == ({}, [])
    assert (list(reviewing.live()), len(owed(reviewing))) == (["a"], 1)


def test_an_item_that_is_back_with_its_old_image_is_told_of(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live").respond_with_data("")
    send(told)
    told.stock({"b": "blue"})
    told.stock({"a": "red", "b": "blue"})

    sent = send(told)

    message = json.loads(httpserver.log[-1][0].data)
    assert sent == Sent(delivered=1)
    assert (message["reason"], [each["sku"] for each in message["items"]]) == ("back in the catalog", ["a"])


def test_a_command_gets_the_message_on_its_standard_input(team: Team, tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        f"kept = open({str(tmp_path / 'got')!r}, 'w')\n"
        "skus = [each['sku'] for each in json.load(sys.stdin)['items']]\n"
        "print(skus, sorted(set(os.environ) - {'LC_CTYPE', 'LC_ALL', 'LANG', 'TZ'}), file=kept)\n"
    )
    team.stock(TWO)
    add(team, f"{sys.executable} {script}", HookKind.COMMAND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIVYA_API_KEY", "secret")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("HOME", str(tmp_path))
        team.refresh()

        sent = send(team)

    assert sent == Sent(delivered=1)
    known = ["DARKROOM_CATALOG", "DARKROOM_DELIVERY", "DARKROOM_EVENT", "HOME", "PATH"]
    assert (tmp_path / "got").read_text() == f"['a', 'b'] {known}\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("false", "ended with 1"),
        ("sh -c 'echo broken >&2; exit 7'", "ended with 7: broken"),
        ("/nowhere/at/all", "cannot be started"),
    ],
)
def test_a_command_that_fails_says_how(line: str, reason: str) -> None:
    with pytest.raises(NotTaken, match=reason):
        command(line, b"{}")


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(NotTaken, match="did not end"):
        command("sh -c 'sleep 100 & sleep 100'", b"{}", timeout=timedelta(seconds=0.2))


@pytest.mark.parametrize(
    ("kind", "target", "secret"),
    [
        (HookKind.POST, "ftp://example.org", SECRET),
        (HookKind.POST, "example.org", SECRET),
        (HookKind.POST, "https://me:word@example.org", SECRET),
        (HookKind.POST, "https://bücher.example", SECRET),
        (HookKind.POST, "https://example.org", None),
        (HookKind.POST, "https://example.org", "short"),
        (HookKind.COMMAND, " ", None),
        (HookKind.COMMAND, "echo 'open", None),
    ],
)
def test_a_hook_that_can_never_work_is_refused(kind: HookKind, target: str, secret: str | None) -> None:
    with pytest.raises(BadHook):
        telling.check(kind, target, secret)


def test_a_removed_hook_is_told_nothing_more(told: Team, httpserver: HTTPServer) -> None:
    with told.node.services.database.transaction() as tx:
        found = hooks.of(tx, told.catalog.id)[0]
        dropped = hooks.remove(tx, found.id, now=told.clock())

    assert (dropped, send(told), httpserver.log) == (1, Sent(), [])
