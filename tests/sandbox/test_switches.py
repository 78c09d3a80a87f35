"""Each rule that is inferred or unknown can be switched."""

from typing import Any

import pytest

from tests.sandbox.pictures import opened, picture
from tests.sandbox.running import Sandbox


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "qwen-image", "prompt": "A chair"} | changes


def finished(sandbox: Sandbox) -> Any:
    return sandbox.task(sandbox.create().json()["id"])


def result_path(sandbox: Sandbox) -> str:
    return str(finished(sandbox)["result"]["primary_url"]).removeprefix(sandbox.url)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_status_of_a_create(sandbox: Sandbox, status: int) -> None:
    sandbox.set(create_status=status)

    assert sandbox.create().status_code == status


@pytest.mark.parametrize(("mode", "status"), [("reject", 400), ("drop", 200)])
@pytest.mark.parametrize("extra", [{"note": "x"}, {"params": {"seed": 1}}])
def test_unknown_keys_are_refused_or_dropped(sandbox: Sandbox, extra: dict[str, Any], mode: str, status: int) -> None:
    sandbox.set(unknown_keys=mode)

    assert sandbox.create(body(**extra)).status_code == status


@pytest.mark.parametrize(("unit", "status"), [("code_points", 200), ("utf16", 400)])
def test_a_character_outside_the_basic_plane_counts_once_or_twice(sandbox: Sandbox, unit: str, status: int) -> None:
    sandbox.set(prompt_unit=unit)

    assert sandbox.create(body(prompt="\U0001f4f7" * 2_501)).status_code == status


@pytest.mark.parametrize(("refused", "status"), [(True, 400), (False, 200)])
def test_a_blank_prompt(sandbox: Sandbox, refused: bool, status: int) -> None:  # noqa: FBT001 -- a table's value
    sandbox.set(blank_prompt_refused=refused)

    assert sandbox.create(body(prompt="  ")).status_code == status


@pytest.mark.parametrize(("urls", "status"), [("files_only", 400), ("any", 200)])
def test_a_reference_elsewhere(sandbox: Sandbox, urls: str, status: int) -> None:
    sandbox.set(reference_urls=urls)
    items = [{"url": "https://example.com/a.png", "kind": "image"}]

    assert sandbox.create(body(params={"referenceMediaItems": items})).status_code == status


def test_a_young_generation_may_be_unknown_for_a_while(sandbox: Sandbox) -> None:
    sandbox.set(not_found_after_create_s=5)
    path = f"/api/v1/generations/{sandbox.create().json()['id']}"

    young = sandbox.get(path)
    sandbox.post("/sandbox/clock", {"advance_s": 6})

    assert (young.status_code, sandbox.get(path).status_code) == (404, 200)


@pytest.mark.parametrize("status", [400, 402, 403, 409])
def test_an_empty_wallet_as_an_http_error(sandbox: Sandbox, status: int) -> None:
    sandbox.set(no_credits="http_error", no_credits_status=status)
    sandbox.post("/sandbox/wallet", {"set": 3})

    answer = sandbox.create()

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "insufficient_credits")


@pytest.mark.parametrize(("mode", "at_create"), [("failed_at_create", "failed"), ("failed_at_poll", "queued")])
@pytest.mark.parametrize(("shown", "reserved"), [(False, 0), (True, 4)])
def test_an_empty_wallet_as_a_failed_generation(
    sandbox: Sandbox, mode: str, at_create: str, *, shown: bool, reserved: int
) -> None:
    sandbox.set(no_credits=mode, no_credits_reserved=shown)
    sandbox.post("/sandbox/wallet", {"set": 3})

    created = sandbox.create().json()
    task = sandbox.task(created["id"])

    assert created["status"] == at_create
    assert (task["status"], task["error"]["code"]) == ("failed", "insufficient_credits")
    assert (task["reserved_credits"], task["final_credits"], sandbox.credits()) == (reserved, 0, 3)


def test_a_refund_may_come_later_than_the_failure(sandbox: Sandbox) -> None:
    sandbox.set(refund_after_s=60)
    sandbox.script({"on": "create", "nth": 1, "fault": "fail_generation"})
    failed = finished(sandbox)

    before = sandbox.credits()
    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert (failed["status"], failed["final_credits"]) == ("failed", 0)
    assert (before, sandbox.credits()) == (9_996, 10_000)


@pytest.mark.parametrize(("excludes", "credits_"), [(True, 9_996), (False, 10_000)])
def test_the_balance_is_with_or_without_what_is_reserved(sandbox: Sandbox, *, excludes: bool, credits_: int) -> None:
    sandbox.script({"on": "create", "nth": 1, "fault": "never_ends"})
    reserved = sandbox.books()["wallet"]["reserved"]
    sandbox.create()

    sandbox.set(balance_excludes_reserved=excludes)

    assert sandbox.credits() == credits_ + (0 if excludes else reserved)


@pytest.mark.parametrize(("mode", "has_urls"), [("present", True), ("empty", False), ("missing", False)])
def test_the_list_of_result_urls_may_be_missing(sandbox: Sandbox, mode: str, *, has_urls: bool) -> None:
    sandbox.set(urls_field=mode)

    result = finished(sandbox)["result"]

    assert bool(result.get("urls")) is has_urls
    assert ("urls" in result) is (mode != "missing")


def test_the_error_of_a_failure_may_be_null(sandbox: Sandbox) -> None:
    sandbox.set(failed_error="null")
    sandbox.script({"on": "create", "nth": 1, "fault": "fail_generation"})

    task = finished(sandbox)

    assert (task["status"], task["error"]) == ("failed", None)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_result_may_be_gone_after_a_while(sandbox: Sandbox, status: int) -> None:
    sandbox.set(result_ttl_s=60, result_gone_status=status)
    path = result_path(sandbox)

    young = sandbox.get(path)
    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert (young.status_code, sandbox.get(path).status_code) == (200, status)


def test_a_result_may_be_late(sandbox: Sandbox) -> None:
    sandbox.set(result_ready_after_s=60)
    path = result_path(sandbox)

    early = sandbox.get(path)
    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert (early.status_code, sandbox.get(path).status_code) == (404, 200)


@pytest.mark.parametrize(("needs", "status"), [(True, 401), (False, 200)])
def test_a_result_may_need_the_key(sandbox: Sandbox, *, needs: bool, status: int) -> None:
    sandbox.set(result_needs_key=needs)
    path = result_path(sandbox)

    assert (sandbox.get(path, key=None).status_code, sandbox.get(path).status_code) == (status, 200)


def test_a_result_may_redirect_come_chunked_and_hide_its_type(sandbox: Sandbox) -> None:
    sandbox.set(result_redirect=True, result_chunked=True, result_type="octet_stream", plain_images=True)

    answer = sandbox.get(result_path(sandbox))

    assert [step.status_code for step in answer.history] == [302]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "Content-Length" not in answer.headers
    assert answer.content.startswith(b"\x89PNG")


def test_an_upload_shows_id_and_url_at_least(sandbox: Sandbox) -> None:
    sandbox.set(file_keys="minimal", file_status=201)

    answer = sandbox.upload(picture())

    assert (answer.status_code, list(answer.json())) == (201, ["id", "url"])


def test_an_upload_may_expire(sandbox: Sandbox) -> None:
    sandbox.set(upload_ttl_s=60)
    stored = sandbox.upload(picture()).json()
    items = [{"url": stored["url"], "kind": "image"}]

    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert sandbox.get(f"/api/v1/files/{stored['id']}").status_code == 404
    assert sandbox.create(body(params={"referenceMediaItems": items})).status_code == 400


@pytest.mark.parametrize("dedupe", [True, False])
def test_the_same_bytes_may_be_the_same_file(sandbox: Sandbox, *, dedupe: bool) -> None:
    sandbox.set(upload_dedupe=dedupe)

    first, second = (sandbox.upload(picture(colour="navy")).json()["id"] for _ in range(2))

    assert (first == second) is dedupe


def test_the_name_of_an_upload_may_have_to_fit_its_bytes(sandbox: Sandbox) -> None:
    sandbox.set(upload_extension_checked=True)

    assert sandbox.upload(picture("JPEG"), name="a.png").status_code == 400
    assert sandbox.upload(picture("JPEG"), name="a.JPG").status_code == 200


def test_a_bad_upload_may_have_a_status_of_its_own(sandbox: Sandbox) -> None:
    sandbox.set(upload_type_status=415, upload_oversize_status=413)

    assert sandbox.upload(b"text").status_code == 415
    assert sandbox.upload(picture() + b"\0" * (10 * 2**20)).status_code == 413


def test_a_megabyte_may_be_the_smaller_one(sandbox: Sandbox) -> None:
    sandbox.set(megabyte=10**6)

    assert sandbox.upload(picture() + b"\0" * (10 * 10**6)).status_code == 400


def test_a_price_may_differ_from_the_list(sandbox: Sandbox) -> None:
    sandbox.set(price_delta=3)

    assert sandbox.create().json()["reserved_credits"] == 7


@pytest.mark.parametrize(("charge", "final"), [(0, 0), (3, 3), (9, 4)])
def test_prompts_that_contain_a_text_may_fail_and_cost_something(sandbox: Sandbox, charge: int, final: int) -> None:
    sandbox.set(failing_prompts="curse", failing_prompts_charge=charge, latency_median_s=0)

    prompts = ("a cursed chair", "a chair")
    bad, good = (sandbox.create({"model": "qwen-image", "prompt": prompt}).json()["id"] for prompt in prompts)

    assert sandbox.task(bad)["status"] == "failed"
    assert sandbox.task(bad)["final_credits"] == final
    assert sandbox.task(good)["status"] == "succeeded"


@pytest.mark.parametrize(
    "bad",
    [
        {"no_such_setting": 1},
        {"create_status": 418},
        {"unknown_keys": "maybe"},
        {"seed": "x"},
        {"refund_after_s": -1},
        {"api_disabled": 1},
        {"faults": {"create": {"no_such_fault": 0.1}}},
        {"faults": {"create": {"lost_reply": 2}}},
        {"faults": {"get": {"fail_generation": 0.1}}},
        {"faults": {"nothing": {}}},
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_is_permitted(sandbox: Sandbox, bad: dict[str, Any]) -> None:
    before = sandbox.get("/sandbox/settings").json()

    answer = sandbox.call("PATCH", "/sandbox/settings", json=bad)

    assert answer.status_code == 400
    assert "permitted:" in answer.json()["error"]["message"]
    assert sandbox.get("/sandbox/settings").json() == before


@pytest.mark.parametrize("form", ["webp", "gif", "bmp", "avif", "tiff", "jpeg2000", "qoi", "apng", "animated_gif"])
def test_a_result_may_have_another_form_and_size(sandbox: Sandbox, form: str) -> None:
    sandbox.set(result_form=form, result_pixels=16)

    found = opened(sandbox.get(result_path(sandbox)).content)

    assert found.size == (16, 16)


def test_a_result_may_be_no_image(sandbox: Sandbox) -> None:
    sandbox.set(result_form="html")

    assert sandbox.get(result_path(sandbox)).content.startswith(b"<!doctype html>")


@pytest.mark.parametrize(("status", "listed"), [("removed", None), ("coming_soon", "coming_soon")])
def test_a_model_that_is_not_available_is_listed_so_and_refused(
    sandbox: Sandbox, status: str, listed: str | None
) -> None:
    sandbox.set(model_status={"z-image": status}, model_refused_code="model_disabled", model_refused_status=403)

    refused = sandbox.create(body(model="z-image"))

    entries = {entry["id"]: entry["api_status"] for entry in sandbox.get("/api/v1/models").json()["data"]}
    assert entries.get("z-image") == listed
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_disabled")
    assert sandbox.create(body()).status_code == 200


def test_a_model_from_a_setting_is_listed_and_checked_like_the_others(sandbox: Sandbox) -> None:
    entry = {"credits": 2, "prompt_max": 5, "references_max": 0, "reference_mb": 0, "params": {"a": ["x"], "n": None}}
    sandbox.set(extra_models={"mine": entry})

    taken = sandbox.create(body(model="mine", prompt="A cup", params={"a": "x", "n": 1}))

    assert (taken.status_code, taken.json()["reserved_credits"]) == (200, 2)
    assert sandbox.create(body(model="mine")).status_code == 400
    assert "mine" in {each["id"] for each in sandbox.get("/api/v1/models").json()["data"]}
