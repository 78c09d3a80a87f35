import pytest

from worker.core.rules.models_catalogue import Deviation, SizePolicy, counted, deviations

ORDER = {"image_size": "square", "output_format": "png"}
IMAGE = {"mime_type": "image/png", "width": 512, "height": 512, "frames": 1}


@pytest.mark.parametrize(
    ("order", "image", "found"),
    [
        ({}, {}, ()),
        ({}, {"mime_type": "image/webp"}, ("format",)),
        ({}, {"width": 8, "height": 8}, ("size",)),
        ({}, {"width": 513}, ("size",)),
        ({}, {"frames": 2}, ("animated",)),
        ({}, {"mime_type": "image/gif", "width": 8, "frames": 9}, ("format", "size", "animated")),
        ({"output_format": "jpeg"}, {"mime_type": "image/jpeg"}, ()),
        ({"output_format": "jpg"}, {"mime_type": "image/jpeg"}, ()),
        ({"output_format": "jpg"}, {"mime_type": "image/png"}, ("format",)),
        ({"image_size": "16:9"}, {"width": 8}, ()),
        ({"output_format": "heic"}, {"mime_type": "image/gif"}, ()),
    ],
)
def test_an_image_differs_in_what_was_ordered_and_is_known(
    order: dict[str, str], image: dict[str, object], found: tuple[str, ...]
) -> None:
    assert deviations("qwen-image", {**ORDER, **order}, **{**IMAGE, **image}) == found  # type: ignore[arg-type]  # a table's values


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (SizePolicy.ACCEPT, (Deviation.FORMAT,)),
        (SizePolicy.FLAG, (Deviation.FORMAT, Deviation.SIZE)),
        (SizePolicy.REFUSE_TO_PUBLISH, (Deviation.FORMAT, Deviation.SIZE)),
    ],
)
def test_another_size_counts_unless_it_is_accepted(policy: SizePolicy, left: tuple[Deviation, ...]) -> None:
    assert counted(["format", "size"], policy) == left
