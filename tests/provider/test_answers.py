import json
from typing import Any

import pytest

from worker.provider import answers
from worker.provider.answers import MalformedAnswerError
from worker.provider.wire import GenerationStatus, GenerationView, ModelView, UploadedFile

CREATED: dict[str, Any] = {
    "id": "task_1",
    "status": "queued",
    "model": "qwen-image",
    "reserved_credits": 4,
    "final_credits": 0,
    "created_at": "2026-05-11T00:00:00.000Z",
    "updated_at": "2026-05-11T00:00:00.000Z",
    "result": None,
    "error": None,
}


def read(**changes: Any) -> GenerationView:
    return answers.read_generation(CREATED | changes, http_status=200, request_id="req_header")


def test_the_documented_answer_is_read_whole() -> None:
    view = read()

    assert view == GenerationView(
        id="task_1",
        status=GenerationStatus.QUEUED,
        model="qwen-image",
        reserved_credits=4,
        final_credits=0,
        result_urls=(),
        error_code=None,
        error_message=None,
        http_status=200,
        request_id="req_header",
    )


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_succeeded_and_failed_are_an_end(status: str) -> None:
    assert read(status=status).status.is_terminal


@pytest.mark.parametrize("status", ["queued", "processing", "unknown", "paused", "SUCCEEDED"])
def test_no_other_status_is_an_end(status: str) -> None:
    assert not read(status=status).status.is_terminal


def test_a_status_that_is_not_known_is_unknown_and_no_error() -> None:
    assert read(status="paused").status is GenerationStatus.UNKNOWN


@pytest.mark.parametrize("status", [None, 3, ["queued"], {}])
def test_an_answer_without_a_status_is_malformed(status: object) -> None:
    with pytest.raises(MalformedAnswerError, match="no status"):
        read(status=status)


@pytest.mark.parametrize("provider_id", [None, 7, "", ".", "..", "a b", "a\x00", "\ud800", "x" * 201])
def test_an_answer_without_a_usable_id_is_malformed(provider_id: object) -> None:
    with pytest.raises(MalformedAnswerError, match="no usable id"):
        read(id=provider_id)


@pytest.mark.parametrize("name", ["reserved_credits", "final_credits"])
@pytest.mark.parametrize("value", [4, 4.0, "4"])
def test_a_whole_number_of_credits_is_read_however_it_is_written(name: str, value: object) -> None:
    assert getattr(read(**{name: value}), name) == 4


@pytest.mark.parametrize("name", ["reserved_credits", "final_credits"])
@pytest.mark.parametrize("value", ["four", "-4", "4.5", 4.5, -1, True, [4], 2**31, float("nan"), float("inf")])
def test_credits_that_are_no_amount_are_none_and_are_named(name: str, value: object) -> None:
    view = read(**{name: value})

    assert getattr(view, name) is None
    assert view.unusable == (f"{name} is {value!r}",)


@pytest.mark.parametrize("name", ["reserved_credits", "final_credits"])
def test_credits_that_are_left_out_are_none_and_never_guessed(name: str) -> None:
    view = read(**{name: None})

    assert getattr(view, name) is None


@pytest.mark.parametrize(
    ("result", "urls"),
    [
        (None, ()),
        ("done", ()),
        ({}, ()),
        ({"primary_url": "https://a/1"}, ("https://a/1",)),
        ({"primary_url": "https://a/1", "urls": None}, ("https://a/1",)),
        ({"urls": ["https://a/1", "https://a/2"]}, ("https://a/1", "https://a/2")),
        (
            {"primary_url": "https://a/2", "urls": ["https://a/1", "https://a/2"]},
            ("https://a/2", "https://a/1"),
        ),
        (
            {"primary_url": 5, "urls": [None, "", "ftp://a", "//[", "https://a/\x00", "https://a/1"]},
            ("https://a/1",),
        ),
    ],
)
def test_result_urls_are_those_that_are_usable_primary_first(result: object, urls: tuple[str, ...]) -> None:
    assert read(status="succeeded", result=result).result_urls == urls


@pytest.mark.parametrize("error", [None, "broken", [], {}, {"code": 5, "message": None}])
def test_a_failure_without_a_readable_error_is_still_a_failure(error: object) -> None:
    view = read(status="failed", error=error)

    assert (view.status, view.error_code, view.error_message) == (GenerationStatus.FAILED, None, None)


def test_the_error_of_a_failed_generation_is_kept() -> None:
    view = read(status="failed", error={"code": "generation_failed", "message": "The generation failed."})

    assert (view.error_code, view.error_message) == ("generation_failed", "The generation failed.")


def test_fields_that_are_not_known_are_ignored() -> None:
    assert read(brand_new={"x": 1}) == read()


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"4", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"a":']
)
def test_what_is_not_a_json_object_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="not"):
        answers.read_json(content)


def test_an_error_answer_gives_code_message_and_request_id() -> None:
    content = json.dumps({"error": {"code": "x", "message": "why", "requestId": "req_1"}}).encode()

    envelope = answers.read_envelope(content, request_id="req_header")

    assert (envelope.code, envelope.message, envelope.request_id) == ("x", "why", "req_1")


def test_an_error_answer_in_html_becomes_a_message_of_at_most_500_characters() -> None:
    content = b"<html>\n<h1>Bad \x1b[31mgateway\x00</h1>" + b"x" * 5000

    envelope = answers.read_envelope(content, request_id=None)

    assert envelope.code is None
    assert envelope.message.startswith("<html> <h1>Bad [31mgateway </h1>xxx")
    assert len(envelope.message) == 500


@pytest.mark.parametrize("content", [b'{"error":"no"}', b'{"error":null}', b"{}", b"[1]"])
def test_an_error_answer_without_an_envelope_has_no_code(content: bytes) -> None:
    assert answers.read_envelope(content, request_id=None).code is None


def test_an_upload_gives_id_and_url_alone() -> None:
    assert answers.read_upload({"id": "file_1", "url": "https://cdn/f", "size": "?"}) == UploadedFile(
        id="file_1", url="https://cdn/f"
    )


def test_an_upload_needs_no_id() -> None:
    assert answers.read_upload({"file_id": "f", "url": "https://a"}) == UploadedFile(id=None, url="https://a")


@pytest.mark.parametrize(
    ("url", "absolute"),
    [("/cdn/f.png", "https://rivya.ai/cdn/f.png"), ("//cdn.rivya.ai/f.png", "https://cdn.rivya.ai/f.png")],
)
def test_an_address_may_be_relative_to_the_provider(url: str, absolute: str) -> None:
    base = "https://rivya.ai"

    uploaded = answers.read_upload({"id": "f", "url": url}, base_url=base)
    made = answers.read_generation(
        CREATED | {"status": "succeeded", "result": {"primary_url": url}},
        http_status=200,
        request_id=None,
        base_url=base,
    )

    assert (uploaded.url, made.result_urls) == (absolute, (absolute,))


@pytest.mark.parametrize("answer", [{}, {"id": "f"}, {"id": "f", "url": 5}, {"id": "f", "url": "file:///etc"}])
def test_an_upload_without_a_url_is_malformed(answer: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswerError):
        answers.read_upload(answer)


@pytest.mark.parametrize("balance", [None, "twelve", 1.5, "-", "--1", False, -(10**12)])
def test_a_balance_that_is_not_a_whole_number_is_malformed(balance: object) -> None:
    with pytest.raises(MalformedAnswerError, match="current_credits"):
        answers.read_credits({"current_credits": balance})


@pytest.mark.parametrize(("balance", "credits_"), [(-7, -7), ("-7", -7), (-7.0, -7), (0, 0), ("12", 12)])
def test_a_balance_below_zero_is_a_reading(balance: object, credits_: int) -> None:
    assert answers.read_credits({"current_credits": balance}) == credits_


def test_models_are_read_as_far_as_they_are_understood() -> None:
    listed = [
        {
            "id": "qwen-image",
            "base_credits": 4,
            "billing_type": "FIXED",
            "api_status": "available",
            "params": {},
        },
        {"id": "odd", "base_credits": "four", "max_prompt_length": 800},
        {"name": "without an id"},
        "text",
    ]

    models = answers.read_models({"object": "list", "data": listed})

    assert models == (
        ModelView(
            id="qwen-image",
            base_credits=4,
            billing_type="FIXED",
            api_status="available",
            max_prompt_length=None,
        ),
        ModelView(id="odd", base_credits=None, billing_type=None, api_status=None, max_prompt_length=800),
    )
