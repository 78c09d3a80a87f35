"""Whatever is a whole image and paid for is kept as what it is; what is no image is not fetched again and again."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import Screen
from tests.pipeline.node import Node
from worker.batches import control

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("form", "mime_type", "extension", "differs"),
    [
        ("png", "image/png", "png", []),
        ("jpeg", "image/jpeg", "jpg", ["format"]),
        ("webp", "image/webp", "webp", ["format"]),
        ("gif", "image/gif", "gif", ["format"]),
        ("bmp", "image/bmp", "bmp", ["format"]),
        ("avif", "image/avif", "avif", ["format"]),
        ("tiff", "image/tiff", "tiff", ["format"]),
        ("jpeg2000", "image/jp2", "jp2", ["format"]),
        ("qoi", "image/qoi", "qoi", ["format"]),
        ("apng", "image/png", "png", ["animated"]),
        ("animated_gif", "image/gif", "gif", ["format", "animated"]),
        ("animated_webp", "image/webp", "webp", ["format", "animated"]),
    ],
)
def test_whatever_is_an_image_is_kept_as_its_true_type_and_marked(
    node: Node, sandbox: Provider, screen: Screen, form: str, mime_type: str, extension: str, differs: list[str]
) -> None:
    sandbox.set(result_form=form)
    node.submit({"key": "a", "prompt": "A chair", "image_size": "square"}, token="t")

    node.run_until_quiet()

    line: dict[str, Any] = json.loads(screen("results", "t"))
    assert (line["state"], line["mime_type"]) == ("succeeded", mime_type)
    assert Path(line["file"]).name == f"a.{extension}"
    assert (line["as_ordered"], line["not_as_ordered"]) == (not differs, differs)
    assert _downloads(node) == 1
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("form", ["html", "svg", "pdf", "cut_off"])
def test_the_same_bytes_that_are_no_image_are_given_up_after_five_fetches(
    node: Node, sandbox: Provider, form: str
) -> None:
    sandbox.set(result_form=form)
    node.submit({"key": "a", "prompt": "A chair", "image_size": "square"})

    node.run_for(HOUR)

    assert node.failures() == ["result_not_an_image"]
    assert _downloads(node) == 5
    [kept] = list(node.folder.glob("*/a~*.bin"))
    assert str(kept) in node.query("SELECT failure_message FROM job")[0]["failure_message"]
    books.check(node, sandbox)


def test_other_bytes_each_time_that_are_no_image_are_fetched_a_few_times_more(node: Node, sandbox: Provider) -> None:
    sandbox.set(result_form="random")
    node.submit({"key": "a", "prompt": "A chair"})

    node.run_for(3 * HOUR)

    assert node.failures() == ["result_unreadable"]
    assert _downloads(node) <= 8


def test_a_page_that_stands_in_the_images_place_for_a_while_costs_no_image(node: Node, sandbox: Provider) -> None:
    sandbox.set(result_form="html")
    node.submit({"key": "a", "prompt": "A chair"})
    node.run_for(timedelta(minutes=4))
    sandbox.set(result_form="ordered")

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_what_is_no_image_is_asked_for_once_more_for_nothing_and_then_bought_anew(
    node: Node, sandbox: Provider
) -> None:
    sandbox.set(result_form="html")
    batch = node.submit({"key": "a", "prompt": "A chair"}).batch_id
    node.run_for(HOUR)
    control.retry_failed(node.services.database, batch, node.author(), approve_above=None)
    node.run_until_quiet()
    recalled = (node.failures(), len(sandbox.tasks()), _downloads(node))
    sandbox.set(result_form="ordered")

    control.retry_failed(node.services.database, batch, node.author(), approve_above=None)
    node.run_until_quiet()

    assert recalled == (["result_not_an_image"], 1, 6)
    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 2


def test_images_of_another_size_are_shown_once_per_batch(node: Node, sandbox: Provider, screen: Screen) -> None:
    sandbox.set(result_pixels=8)
    node.submit(*({"prompt": f"{n}", "image_size": "square"} for n in range(3)), token="t")

    node.run_until_quiet()

    shown = json.loads(screen("status", "t", "--json"))["not_as_ordered"]
    assert [(each["model"], each["with_reference"], each["images"], each["size"]) for each in shown] == [
        ("qwen-image", False, 3, 3)
    ]
    assert "3 of qwen-image without a reference: 3 of another size (such as 8 x 8)" in screen("status", "t")


def test_a_batch_that_accepts_any_size_marks_none(node: Node, sandbox: Provider, screen: Screen) -> None:
    sandbox.set(result_pixels=8)
    node.submit({"prompt": "A chair"}, token="t", size_policy="accept")

    node.run_until_quiet()

    assert json.loads(screen("status", "t", "--json"))["not_as_ordered"] == []
    assert json.loads(screen("results", "t"))["as_ordered"] is True


def _downloads(node: Node) -> int:
    return int(node.query("SELECT count(*) AS n FROM call WHERE kind = 'download'")[0]["n"])
