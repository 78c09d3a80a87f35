"""A model that was accepted once keeps its meaning, also when this version does not know it."""

import pytest

from worker.core.rules import models_catalogue
from worker.core.rules.fault import UnfitError
from worker.core.rules.models_catalogue import MODELS

QWEN = MODELS["qwen-image"]


def test_a_model_that_this_version_does_not_know_is_named() -> None:
    assert models_catalogue.spec_of("qwen-image") is QWEN
    with pytest.raises(LookupError, match="does not know the model 'older'"):
        models_catalogue.spec_of("older")


@pytest.mark.parametrize(
    ("model", "params", "size"),
    [
        ("qwen-image", {"image_size": "square"}, (512, 512)),
        ("qwen-image", {}, None),
        ("older", {"image_size": "square"}, None),
    ],
)
def test_a_size_is_promised_by_the_name_of_a_known_model(
    model: str, params: dict[str, str], size: tuple[int, int] | None
) -> None:
    assert models_catalogue.pixels(model, params) == size


def test_params_that_were_accepted_are_sent_as_they_are_without_new_defaults() -> None:
    assert QWEN.checked({"image_size": "square"}) == {"image_size": "square"}


@pytest.mark.parametrize(
    ("params", "reason"), [({"steps": 7}, "is no parameter of qwen-image"), ({"image_size": "huge"}, "image_size: ")]
)
def test_a_param_that_the_model_no_longer_takes_is_refused_by_name(params: dict[str, str], reason: str) -> None:
    with pytest.raises(UnfitError, match=reason):
        QWEN.checked(params)
