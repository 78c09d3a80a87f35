"""An action on many batches over HTTP is previewed, started, followed and stopped; a token reaches its owner alone."""

from typing import Any

import pytest

from tests.web.api.client import Client, client
from tests.web.serving import Web
from worker.core.rules.batch_request import Priority
from worker.web.rules.identity import Right

PAUSE = {"action": "pause", "filter": {"all": True}, "reason": "the sale"}
PATH = "/bulk-operations"


def submitted(shop: Client, key: str, **batch: object) -> str:
    return str(shop.submit(["vase"], key, **batch).json()["batch"])


def state(shop: Client, batch: str) -> str:
    return str(shop.get(f"/batches/{batch}").json()["state"])


def created(shop: Client, body: dict[str, Any] = PAUSE) -> dict[str, Any]:
    answer = shop.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_nothing_is_done_before_a_previewed_operation_is_started(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, "a")
    preview = created(shop)
    late = submitted(shop, "b")

    before = state(shop, batch)
    done = shop.post(f"{PATH}/{preview['id']}/start")

    assert (preview["state"], preview["batches"], preview["jobs"], preview["credits"]) == ("previewed", 1, 1, 4)
    assert (before, done.status_code) == ("running", 202)
    assert done.json() | {"state": "done", "done": 1, "actor": "token:shop@tester", "reason": "the sale"} == done.json()
    assert (state(shop, batch), state(shop, late)) == ("paused", "running")
    assert shop.get(f"{PATH}/{preview['id']}").json()["state"] == "done"
    assert [each["id"] for each in shop.get(PATH).json()["operations"]] == [preview["id"]]


def test_what_came_of_each_batch_is_listed_page_by_page(web: Web) -> None:
    shop = client(web)
    batches = [submitted(shop, key) for key in ("a", "b", "c")]
    operation = created(shop)["id"]
    shop.post(f"/batches/{batches[1]}/cancel")
    shop.post(f"{PATH}/{operation}/start")

    first = shop.get(f"{PATH}/{operation}/items", params={"limit": "2"}).json()
    second = shop.get(f"{PATH}/{operation}/items", params={"limit": "2", "after": first["next"]}).json()

    found = first["items"] + second["items"]
    assert [(each["seen"]["batch"], each["state"]) for each in found] == [
        (batches[0], "done"),
        (batches[1], "skipped"),
        (batches[2], "done"),
    ]
    assert "is cancelled meanwhile" in found[1]["detail"]
    assert (first["next"], second["next"]) == (2, None)


def test_a_preview_that_is_cancelled_is_never_started(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, "a")
    operation = created(shop)["id"]

    stopped = shop.post(f"{PATH}/{operation}/cancel")
    started = shop.post(f"{PATH}/{operation}/start")

    assert (stopped.json()["state"], stopped.json()["skipped"]) == ("cancelled", 1)
    assert (started.status_code, started.json()["type"].rpartition(":")[2]) == (409, "bulk_operation_ended")
    assert state(shop, batch) == "running"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"action": "pause", "filter": {}}, "must name a condition"),
        ({"action": "pause", "filter": {"all": True, "name": "a*"}}, "must name a condition"),
        ({"action": "reprioritise", "filter": {"all": True}}, "neither priority nor weight"),
        ({"action": "pause", "filter": {"since": "2026-11-30T10:00:00"}}, "filter.since"),
    ],
)
def test_an_unclear_order_is_refused(web: Web, body: dict[str, Any], reason: str) -> None:
    answer = client(web).post(PATH, json=body)

    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


def test_a_token_means_the_batches_of_its_owner_and_sees_no_other_operation(web: Web) -> None:
    everyone, shop = client(web), client(web, "one", owner="shop")
    own, other = submitted(shop, "a"), submitted(everyone, "b", owner="other")
    foreign = created(everyone)["id"]

    operation = created(shop)
    shop.post(f"{PATH}/{operation['id']}/start")

    assert (operation["batches"], operation["filter"]) == (1, {"owner": "shop"})
    assert (state(everyone, own), state(everyone, other)) == ("paused", "running")
    assert [each["id"] for each in shop.get(PATH).json()["operations"]] == [operation["id"]]
    assert shop.get(f"{PATH}/{foreign}").status_code == 404
    assert shop.post(f"{PATH}/{foreign}/start").status_code == 404
    answer = shop.post(PATH, json={"action": "pause", "filter": {"owner": "other"}})
    assert answer.status_code == 403


def test_it_needs_the_right_to_control_and_a_priority_that_the_token_may_ask_for(web: Web) -> None:
    reader = client(web, "reader", rights=(Right.READ,))
    bulk = client(web, "bulk", max_priority=Priority.BULK)
    order = {"action": "reprioritise", "filter": {"all": True}, "priority": "interactive"}

    assert reader.post(PATH, json=PAUSE).status_code == 403
    assert bulk.post(PATH, json=order).status_code == 403
