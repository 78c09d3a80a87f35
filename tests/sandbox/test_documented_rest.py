"""The documented rules of keys, states, credits, models and files."""

from typing import Any

import pytest
import requests

from tests.sandbox.pictures import opened, picture
from tests.sandbox.running import Sandbox

MP4 = b"\0\0\0\x18ftypisom" + b"\0" * 64
TASK_ID = "/api/v1/generations/task_none"


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, (401, "api_key_missing")),
        ("rvya_sk_wrong", (401, "api_key_invalid")),
        ("other", (401, "api_key_invalid")),
    ],
)
def test_a_caller_without_a_good_key_is_turned_away(
    sandbox: Sandbox, key: str | None, expected: tuple[int, str]
) -> None:
    assert code(sandbox.get("/api/v1/credits", key=key)) == expected


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ({"revoke_key": True}, (401, "api_key_revoked")),
        ({"expire_key": True}, (401, "api_key_expired")),
        ({"scopes": ["files:read"]}, (403, "api_scope_denied")),
    ],
)
def test_a_key_that_lost_its_rights_is_turned_away(
    sandbox: Sandbox, hook: dict[str, object], expected: tuple[int, str]
) -> None:
    key = sandbox.post("/sandbox/keys", {})["api_key"]

    sandbox.post("/sandbox/hooks", {"key": key, **hook})

    assert code(sandbox.get("/api/v1/credits", key=key)) == expected


def test_the_key_of_an_account_that_has_one_is_given_again_on_demand(sandbox: Sandbox) -> None:
    first = sandbox.post("/sandbox/keys", {"account": "shop", "reuse": True})["api_key"]
    other = sandbox.post("/sandbox/keys", {"account": "shop"})["api_key"]

    again = sandbox.post("/sandbox/keys", {"account": "shop", "reuse": True})["api_key"]

    assert again == first != other
    assert sandbox.get("/api/v1/credits", key=again).ok


def test_a_disabled_api_answers_503_to_everything(sandbox: Sandbox) -> None:
    sandbox.post("/sandbox/hooks", {"api_disabled": True})

    assert code(sandbox.get("/api/v1/models")) == (503, "public_api_disabled")
    assert code(sandbox.create()) == (503, "public_api_disabled")


def test_the_models_are_public_and_name_price_and_limits(sandbox: Sandbox) -> None:
    listing = sandbox.get("/api/v1/models", key=None).json()

    qwen = next(entry for entry in listing["data"] if entry["id"] == "qwen-image")
    assert listing["object"] == "list"
    assert (qwen["base_credits"], qwen["max_prompt_length"], qwen["billing_type"]) == (4, 5000, "FIXED")


@pytest.mark.parametrize(
    ("image_size", "output_format", "pixels"),
    [
        ("square", "png", (512, 512)),
        ("square_hd", "jpeg", (1024, 1024)),
        ("portrait_4_3", "png", (768, 1024)),
        ("portrait_16_9", "jpeg", (576, 1024)),
        ("landscape_4_3", "png", (1024, 768)),
        ("landscape_16_9", "jpeg", (1024, 576)),
    ],
)
def test_a_success_has_an_image_of_the_size_and_format_that_were_asked_for(
    sandbox: Sandbox, image_size: str, output_format: str, pixels: tuple[int, int]
) -> None:
    params = {"image_size": image_size, "output_format": output_format}
    task_id = sandbox.create({"model": "qwen-image", "prompt": "A chair", "params": params}).json()["id"]

    task = sandbox.task(task_id)
    image = opened(sandbox.get(task["result"]["primary_url"].removeprefix(sandbox.url), key=None).content)

    assert (task["status"], task["final_credits"], task["error"]) == ("succeeded", 4, None)
    assert task["result"]["urls"] == [task["result"]["primary_url"]]
    assert (image.size, image.mode, image.format) == (pixels, "RGB", output_format.upper())


def test_the_image_shows_the_reference(sandbox: Sandbox) -> None:
    url = sandbox.upload(picture(colour="lime")).json()["url"]
    params = {"image_size": "square", "referenceMediaItems": [{"url": url, "kind": "image"}]}
    task_id = sandbox.create({"model": "qwen-image", "prompt": "A chair", "params": params}).json()["id"]

    image = opened(sandbox.get(f"/sandbox/results/{task_id}.png").content)

    assert image.getpixel((60, 60)) == (0, 255, 0)


def test_a_failure_has_an_error_no_result_and_no_charge(sandbox: Sandbox) -> None:
    sandbox.script({"on": "create", "nth": 1, "fault": "fail_generation"})
    task_id = sandbox.create().json()["id"]

    task = sandbox.task(task_id)

    assert (task["status"], task["reserved_credits"], task["final_credits"]) == ("failed", 4, 0)
    assert (task["result"], task["error"]["code"]) == (None, "generation_failed")
    assert sandbox.credits() == 10_000


def test_a_generation_is_queued_then_processing_then_ended(sandbox: Sandbox) -> None:
    sandbox.set(latency_median_s=1000, latency_sigma=0)
    task_id = sandbox.create().json()["id"]

    queued = sandbox.task(task_id)["status"]
    sandbox.post("/sandbox/clock", {"advance_s": 500})
    processing = sandbox.task(task_id)["status"]
    sandbox.post("/sandbox/clock", {"advance_s": 501})
    ended = sandbox.task(task_id)["status"]

    assert (queued, processing, ended) == ("queued", "processing", "succeeded")


def test_a_create_takes_its_price_from_the_wallet_at_once(sandbox: Sandbox) -> None:
    sandbox.create()

    assert sandbox.credits() == 9_996


def test_what_is_missing_and_what_is_another_accounts_look_the_same(sandbox: Sandbox) -> None:
    stranger = sandbox.post("/sandbox/keys", {"account": "acct_stranger"})["api_key"]
    task_id = sandbox.create().json()["id"]

    missing = sandbox.get(TASK_ID)
    others = sandbox.get(f"/api/v1/generations/{task_id}", key=stranger)

    assert code(missing) == code(others) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api/v1/generations", "/api/v1/none"])
def test_an_endpoint_that_is_not_there_answers_not_found(sandbox: Sandbox, path: str) -> None:
    assert code(sandbox.get(path)) == (404, "not_found")


@pytest.mark.parametrize(("image_format", "mime"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")])
def test_an_upload_is_known_by_its_bytes_whatever_its_name(sandbox: Sandbox, image_format: str, mime: str) -> None:
    data = picture(image_format)

    stored = sandbox.upload(data, name="photo.dat").json()

    again = sandbox.get(f"/api/v1/files/{stored['id']}").json()
    assert stored["mime_type"] == f"image/{mime}"
    assert again == stored
    assert sandbox.get(stored["url"].removeprefix(sandbox.url), key=None).content == data


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        pytest.param(b"just some text", {}, id="text"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(MP4, {}, id="a video as an image"),
        pytest.param(picture("GIF"), {}, id="gif"),
        pytest.param(picture(), {"kind": "video"}, id="wrong kind for the model"),
        pytest.param(picture(), {"kind": "picture"}, id="unknown kind"),
        pytest.param(picture(), {"model": "no-such-model"}, id="unknown model"),
        pytest.param(picture(), {"model": "z-image"}, id="model without references"),
        pytest.param(picture(), {"client_request_id": "x" * 129}, id="client_request_id too long"),
        pytest.param(picture() + b"\0" * (10 * 2**20), {}, id="too big"),
        pytest.param(picture(), {"folder": "x"}, id="unknown field"),
    ],
)
def test_a_bad_upload_is_refused(sandbox: Sandbox, data: bytes, fields: dict[str, str]) -> None:
    assert code(sandbox.upload(data, **fields)) == (400, "validation_failed")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"json": {"kind": "image"}}, id="not multipart"),
        pytest.param({"files": {"kind": (None, "image")}}, id="no file"),
        pytest.param({"files": {"file": ("a.png", picture())}}, id="no kind"),
        pytest.param({"files": {"file": (None, "x"), "kind": (None, "image")}}, id="file without a name"),
        pytest.param({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, id="no boundary"),
        pytest.param(
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            id="broken multipart",
        ),
    ],
)
def test_an_upload_that_is_not_the_documented_form_is_refused(sandbox: Sandbox, options: dict[str, Any]) -> None:
    assert code(sandbox.call("POST", "/api/v1/files", **options)) == (400, "validation_failed")


def test_a_video_is_accepted_without_a_model(sandbox: Sandbox) -> None:
    form = {"kind": "video"}

    stored = sandbox.call("POST", "/api/v1/files", files={"file": ("a.mp4", MP4)}, data=form).json()

    assert (stored["mime_type"], bool(stored["duration_token"])) == ("video/mp4", True)
