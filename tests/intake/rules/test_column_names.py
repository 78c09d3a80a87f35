"""A column that no line of a model uses is the caller's own data, or a mistake that would buy other images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rules.models_catalogue import MODELS, ModelSpec
from worker.intake.rules import column_names
from worker.intake.rules.request import JobRequest, validate

QWEN = MODELS["qwen-image"]
SPECS = st.sampled_from(list(MODELS.values()))
COLUMNS = ("key", "prompt", "model", "reference", "image_size", "output_format")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("refrence", "reference"),
        ("referance", "reference"),
        ("refernece", "reference"),
        ("references", "reference"),
        ("ref", "reference"),
        ("image_url", "reference"),
        ("image_urls", "reference"),
        ("img", "reference"),
        ("photo_url", "reference"),
        ("img_size", "image_size"),
        ("out_formats", "output_format"),
        ("Reference", "reference"),
        ("promt", "prompt"),
        ("prompts", "prompt"),
        ("keys", "key"),
        ("Key ", "key"),
        ("\ufeffkey", "key"),
        ("modell", "model"),
        ("model_name", "model"),
        ("image-size", "image_size"),
        ("imgae_size", "image_size"),
        ("ouput_formats", "output_format"),
        ("\uff50rompt", "prompt"),
    ],
)
def test_a_near_miss_of_a_known_column_names_the_column_that_was_meant(name: str, meant: str) -> None:
    found = column_names.misnamed(name, QWEN)

    assert found is not None
    assert found.meant == meant


@pytest.mark.parametrize(
    "name",
    [
        "size", "format", "n", "seed", "negative_prompt", "negativePrompt", "aspect_ratio", "AspectRatio", "width",
        "height", "steps", "num_inference_steps", "sizes", "Formats", "seeds",
        "negative_promt", "guidence_scale", "aspect-ration", "guidance", "guidance scale", "cfg", "resolution",
        "google_search",
    ],
)  # fmt: skip
def test_a_parameter_that_the_model_does_not_have_is_named_with_those_that_it_has(name: str) -> None:
    found = column_names.misnamed(name, QWEN)

    assert found is not None
    assert found.reason.startswith("is no parameter of qwen-image")
    assert found.permitted == QWEN.param_names


@pytest.mark.parametrize("name", ["reference1", "references_2", "reference_0"])
def test_a_numbered_reference_in_another_spelling_names_the_columns_as_they_are_written(name: str) -> None:
    found = column_names.misnamed(name, MODELS["nano-banana-2"])

    assert found is not None
    assert found.meant == "reference"
    assert found.permitted[:2] == ("reference", "reference_2")


@pytest.mark.parametrize(
    ("name", "column", "is_misspelt"),
    [
        ("img", "reference", True),
        ("refrence", "reference", True),
        ("img", "photo", False),
        ("phto", "photo", True),
        ("sku", "reference", False),
        ("prompts", "reference", False),
    ],
)
def test_a_column_that_was_meant_for_the_reference_is_known_by_the_name_that_it_has_here(
    name: str,
    column: str,
    is_misspelt: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert (column_names.misspelt_reference(name, QWEN, column) is not None) is is_misspelt


@pytest.mark.parametrize(
    ("cell", "name", "column"),
    [("\ufeff Key ", "Key", "key"), ("KEY", "KEY", "key"), ("key", "key", "key"), ("Shelf", "Shelf", "Shelf")],
)
def test_a_cell_of_a_header_is_read_without_what_surrounds_it_and_known_columns_in_any_case(
    cell: str, name: str, column: str
) -> None:
    assert column_names.header(cell) == name
    assert column_names.in_known_case(name) == column


@pytest.mark.parametrize(
    "name",
    [
        "sku", "name", "title", "notes", "shelf", "colour", "keywords", "category", "prompt_id", "prompt_de", "id",
        "reference_id", "scheduled", "photographer", "style", "season", "material", "price", "campaign", "x_size",
        "X_ref", "x_", "",
    ],
)  # fmt: skip
def test_the_callers_own_data_is_no_mistake(name: str) -> None:
    assert column_names.misnamed(name, QWEN) is None


@given(spec=SPECS, data=st.data())
def test_no_known_column_and_no_param_of_the_model_is_ever_a_mistake(spec: ModelSpec, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(column_names.known(spec)))

    assert column_names.misnamed(name, spec) is None


@given(spec=SPECS, rest=st.text(max_size=30))
def test_a_name_with_the_prefix_of_own_data_is_never_a_mistake(spec: ModelSpec, rest: str) -> None:
    assert column_names.misnamed(f"x_{rest}", spec) is None


@given(column=st.sampled_from(COLUMNS), at=st.integers(0, 20), letter=st.sampled_from("aeiou"))
def test_one_letter_too_many_is_a_mistake_whatever_the_letter(column: str, at: int, letter: str) -> None:
    place = at % (len(column) + 1)
    found = column_names.misnamed(column[:place] + letter + column[place:], QWEN)

    assert found is not None
    assert found.meant == column


@given(name=st.text(max_size=50), spec=SPECS)
def test_any_name_has_an_answer_that_can_be_printed(name: str, spec: ModelSpec) -> None:
    found = column_names.misnamed(name, spec)

    assert found is None or found.reason.isprintable()


def test_an_empty_cell_of_a_misspelt_column_asks_for_nothing() -> None:
    request = validate({"prompt": "a shoe", "refrence": "", "seed": None}, 1)

    assert isinstance(request, JobRequest)


def test_a_column_beside_the_one_that_it_resembles_is_own_data() -> None:
    request = validate({"key": "a", "prompt": "a shoe", "keys": ["red", "low"]}, 1)

    assert isinstance(request, JobRequest)
    assert request.metadata == {"keys": ["red", "low"]}


def test_a_misspelt_column_is_a_mistake_where_the_right_one_is_empty() -> None:
    faults = validate({"prompt": "a shoe", "reference": "", "refrence": "a.png"}, 1)

    assert isinstance(faults, tuple)
    assert [fault.field for fault in faults] == ["refrence"]


def test_an_extra_column_is_kept_although_it_looks_like_a_parameter() -> None:
    extra = frozenset({"size", "seed", "refrence"})
    request = validate({"prompt": "a shoe", "size": "42", "seed": "oak", "refrence": "R-7"}, 1, extra=extra)

    assert isinstance(request, JobRequest)
    assert request.metadata == {"size": "42", "seed": "oak", "refrence": "R-7"}
