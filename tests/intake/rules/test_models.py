"""Requests for models other than the first: their own params, limits and references, and words for the others'."""

import math

import pytest

from worker.core.rules.fault import Fault
from worker.core.rules.models_catalogue import MODELS
from worker.intake.rules.request import JobRequest, validate


def accepted(**raw: object) -> JobRequest:
    request = validate({"prompt": "a shoe"} | raw, 1)
    assert isinstance(request, JobRequest), request
    return request


def refused(**raw: object) -> list[Fault]:
    faults = validate({"prompt": "a shoe"} | raw, 1)
    assert isinstance(faults, tuple), faults
    return list(faults)


@pytest.mark.parametrize("seed", [7, "7", 7.0, " 7 ", "7.0", "+7"])
def test_a_number_is_the_same_however_it_was_written(seed: object) -> None:
    assert accepted(model="qwen2-image", seed=seed).params["seed"] == 7


@pytest.mark.parametrize("seed", [None, ""])
def test_a_number_without_a_default_is_left_out_when_it_is_not_given(seed: object) -> None:
    assert "seed" not in accepted(model="qwen2-image", seed=seed).params


@pytest.mark.parametrize(
    "seed", [-1, "-1", 1.5, "1.5", True, "seven", "0x7", "1e3", "\u0667", math.nan, math.inf, 2**53, "9" * 30, [], {}]
)
def test_what_is_no_whole_number_from_0_on_is_refused_with_the_limits(seed: object) -> None:
    [fault] = refused(model="qwen2-image", seed=seed)

    assert fault.field == "seed"
    assert "a whole number from 0 to 9,007,199,254,740,991" in fault.reason


@pytest.mark.parametrize(("given", "sent"), [(True, "true"), (False, "false"), ("true", "true"), (None, "false")])
def test_a_boolean_travels_as_a_text(given: object, sent: str) -> None:
    assert accepted(model="nano-banana-2", google_search=given).params["google_search"] == sent


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("qwen-image", "imageSize", "1:1"),
        ("qwen-image", "seed", 7),
        ("nano-banana", "image_size", "square"),
        ("z-image", "output_format", "png"),
        ("nano-banana-pro", "google_search", False),
    ],
)
def test_a_param_of_another_model_is_a_fault_that_names_those_that_there_are(
    model: str, name: str, value: object
) -> None:
    """Taken as metadata it would buy another image than was asked for, in silence."""
    [fault] = refused(model=model, **{name: value})

    assert fault.field == name
    assert fault.reason.startswith(f"is no parameter of {model} ")
    assert fault.permitted == MODELS[model].param_names


def test_an_empty_cell_for_a_param_of_another_model_is_neither_a_fault_nor_metadata() -> None:
    request = accepted(model="z-image", image_size="", seed=None, reference_2="", aspect_ratio="4:3")

    assert (request.params, request.metadata) == ({"aspect_ratio": "4:3"}, {})


@pytest.mark.parametrize(
    ("model", "name", "value", "near"),
    [
        ("nano-banana-2", "output_format", "jpeg", "jpg"),
        ("nano-banana", "output_format", "jpg", "jpeg"),
        ("qwen2-image", "image_size", "square", "16:9"),
        ("nano-banana", "imageSize", "16x9", "1:1"),
        ("nano-banana-pro", "aspect_ratio", "auto", "1:1"),
        ("nano-banana-2", "resolution", "8K", "1K"),
        ("nano-banana-2", "resolution", 2, "1K"),
    ],
)
def test_a_value_of_another_model_is_refused_with_the_values_of_this_one(
    model: str, name: str, value: object, near: str
) -> None:
    [fault] = refused(model=model, **{name: value})

    assert fault.field == name
    assert near in fault.permitted


@pytest.mark.parametrize(("model", "name"), [("nano-banana", "imageSize"), ("nano-banana-2", "aspect_ratio")])
def test_a_ratio_that_the_providers_page_leaves_out_is_for_the_provider_to_judge(model: str, name: str) -> None:
    assert accepted(model=model, **{name: "21:9"}).params[name] == "21:9"


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_has_the_limit_of_its_model(model: str) -> None:
    limit = MODELS[model].prompt_max

    assert accepted(model=model, prompt="x" * limit).model == model
    [fault] = refused(model=model, prompt="x" * (limit + 1))
    assert f"permitted are {limit:,}" in fault.reason


@pytest.mark.parametrize(
    ("raw", "references"),
    [
        ({"reference": ["a.png", "b.png"]}, ("a.png", "b.png")),
        ({"reference": "a.png", "reference_2": "b.png", "reference_3": ""}, ("a.png", "b.png")),
        ({"reference": ["a.png"]}, ("a.png",)),
        ({"reference": [], "reference_2": None}, ()),
        ({"reference": ["a.png", "a.png"]}, ("a.png", "a.png")),
    ],
)
def test_references_are_a_list_or_numbered_columns(raw: dict[str, object], references: tuple[str, ...]) -> None:
    assert accepted(model="nano-banana", **raw).references == references


@pytest.mark.parametrize(
    ("model", "raw", "reason"),
    [
        ("z-image", {"reference": "a.png"}, "z-image takes no reference"),
        ("qwen-image", {"reference": ["a.png", "b.png"]}, "qwen-image takes at most 1, and 2 are given"),
        ("qwen-image", {"reference": "a.png", "reference_2": "b.png"}, "takes at most 1, and 2 are given"),
        ("nano-banana-pro", {"reference": ["a.png"] * 9}, "takes at most 8, and 9 are given"),
        ("nano-banana", {"reference_2": "b.png"}, "reference is empty, and a later one is given"),
        ("nano-banana", {"reference": "a.png", "reference_3": "c.png"}, "reference_2 is empty"),
        ("nano-banana", {"reference": ["a.png", None]}, "reference_2 is empty"),
        ("nano-banana", {"reference": ["a.png"], "reference_2": "b.png"}, "must be empty then"),
        ("nano-banana", {"reference": ["a.png", 5]}, "reference_2 must be text"),
        ("nano-banana", {"reference": ["a.png", "http://x/b.png"]}, "reference_2 an http:// address"),
    ],
)
def test_references_beyond_the_models_limit_or_with_a_gap_are_refused(
    model: str, raw: dict[str, object], reason: str
) -> None:
    [fault] = refused(model=model, **raw)

    assert fault.field == "reference"
    assert reason in fault.reason


@pytest.mark.parametrize("column", ["reference_1", "reference_15", "references", "reference 2", "Reference_02"])
def test_a_column_that_looks_like_one_of_a_reference_is_never_left_out_in_silence(column: str) -> None:
    [fault] = refused(model="nano-banana-2", **{column: "b.png"})

    assert fault.field == column


def test_an_unknown_model_is_the_only_fault_of_a_line_with_params_of_another_model() -> None:
    [fault] = refused(model="nano-banan", imageSize="1:1")

    assert fault.field == "model"
    assert "did you mean 'nano-banana'?" in fault.reason
