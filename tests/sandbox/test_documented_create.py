"""The documented rules of POST /api/v1/generations."""

from typing import Any

import pytest

from tests.sandbox.pictures import picture
from tests.sandbox.running import Sandbox

FIELDS = [
    "id",
    "status",
    "model",
    "reserved_credits",
    "final_credits",
    "created_at",
    "updated_at",
    "result",
    "error",
]


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "qwen-image", "prompt": "A chair"} | changes


def reference(url: str, **changes: Any) -> dict[str, Any]:
    return body(params={"referenceMediaItems": [{"url": url, "kind": "image"} | changes]})


def test_a_create_is_answered_with_exactly_the_documented_fields(sandbox: Sandbox) -> None:
    answer = sandbox.create()

    data = answer.json()
    assert answer.status_code == 200
    assert list(data) == FIELDS
    assert data["status"] == "queued"
    assert (data["reserved_credits"], data["final_credits"]) == (4, 0)
    assert data["result"] is data["error"] is None
    assert data["created_at"].endswith("Z")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(body(model=None), id="no model"),
        pytest.param(body(model="no-such-model"), id="unknown model"),
        pytest.param(body(prompt=None), id="no prompt"),
        pytest.param(body(prompt=7), id="prompt is no string"),
        pytest.param(body(prompt=""), id="empty prompt"),
        pytest.param(body(prompt="x" * 5001), id="prompt too long"),
        pytest.param(body(params=[]), id="params is no object"),
        pytest.param(body(params={"image_size": "huge"}), id="unknown image size"),
        pytest.param(body(params={"image_size": 1}), id="image size is no string"),
        pytest.param(body(params={"image_size": None}), id="image size is null"),
        pytest.param(body(params={"output_format": "jpg"}), id="jpg is not jpeg"),
        pytest.param(body(params={"imageSize": "square"}), id="another model's key"),
        pytest.param(body(params={"seed": 1}), id="unknown params key"),
        pytest.param(body(files=[]), id="files at the top"),
        pytest.param(body(client_request_id=7), id="client_request_id is no string"),
        pytest.param(body(params={"referenceMediaItems": {}}), id="references are no list"),
        pytest.param(body(params={"referenceMediaItems": ["x"]}), id="reference is no object"),
        pytest.param(reference("https://example.com/a.png"), id="reference is not an upload"),
        pytest.param(reference("http://127.0.0.1/sandbox/uploads/file_none.png"), id="reference is no file"),
        pytest.param([], id="body is no object"),
    ],
)
def test_a_bad_create_is_refused_with_validation_failed_and_costs_nothing(sandbox: Sandbox, bad: object) -> None:
    answer = sandbox.create(bad)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert list(error) == ["code", "message", "requestId"]
    assert error["code"] == "validation_failed"
    assert error["requestId"].startswith("req_")
    assert sandbox.credits() == 10_000


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/json"}])
def test_a_body_that_is_not_json_is_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = sandbox.call("POST", "/api/v1/generations", data=b"{", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_failed")


def test_a_prompt_of_5000_characters_is_accepted(sandbox: Sandbox) -> None:
    assert sandbox.create(body(prompt="x" * 5000)).status_code == 200


@pytest.mark.parametrize("model", ["z-image", "nano-banana-pro"])
def test_a_sibling_model_has_a_price_of_its_own(sandbox: Sandbox, model: str) -> None:
    listed = {entry["id"]: entry for entry in sandbox.get("/api/v1/models").json()["data"]}

    data = sandbox.create(body(model=model)).json()

    assert data["reserved_credits"] == listed[model]["base_credits"]


def test_one_reference_is_accepted_and_two_are_not(sandbox: Sandbox) -> None:
    url = sandbox.upload(picture()).json()["url"]
    item = {"url": url, "kind": "image", "name": "a.png", "mimeType": "image/png"}

    one = sandbox.create(body(params={"referenceMediaItems": [item]}))
    two = sandbox.create(body(params={"referenceMediaItems": [item, item]}))

    assert (one.status_code, two.status_code) == (200, 400)


@pytest.mark.parametrize("bad", [{"kind": "video"}, {"mimeType": "image/gif"}, {"name": 7}, {"size": 1}])
def test_a_reference_has_the_documented_shape_only(sandbox: Sandbox, bad: dict[str, Any]) -> None:
    url = sandbox.upload(picture()).json()["url"]

    answer = sandbox.create(reference(url, **bad))

    assert answer.status_code == 400


def test_a_reference_of_another_account_is_refused(sandbox: Sandbox) -> None:
    url = sandbox.upload(picture()).json()["url"]
    stranger = sandbox.post("/sandbox/keys", {"account": "acct_other"})["api_key"]

    answer = sandbox.create(reference(url), key=stranger)

    assert answer.status_code == 400
