"""The commands around a review: sheets are written, and the decisions that a person saves take effect."""

import csv
import io
import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from sqlalchemy import text

from tests.catalog.conftest import ITEMS_CSV, RECIPE_TOML
from tests.cli.conftest import Darkroom
from tests.pipeline.node import Node


@pytest.fixture
def looking(darkroom: Darkroom, node: Node, place: Path) -> Darkroom:
    """Return the command where two new images wait for a person."""
    (place / "recipe.toml").write_text(RECIPE_TOML.replace("none", "required"))
    darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    darkroom("plan", "chairs", "--out", "plan.json")
    darkroom("apply", "plan.json")
    node.run_until_quiet()
    darkroom("sheet", "chairs")
    return darkroom


def decided(place: Path, node: Node, name: str, saved_at: str | None = None, **verdicts: str) -> None:
    """Write a file of decisions as a sheet saves it."""
    waiting = node.query("SELECT i.sku, r.id FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id")
    ids = {row["sku"]: str(row["id"]) for row in waiting}
    lines = [{"sku": sku, "render": ids[sku], "decision": verdict} for sku, verdict in verdicts.items()]
    document: dict[str, object] = {"darkroom": "decisions", "version": 1, "catalog": "chairs", "decisions": lines}
    document["saved_at"] = saved_at or name
    (place / name).write_text(json.dumps(document))


def test_decide_names_the_command_that_renders_exactly_the_rejected(looking: Darkroom, node: Node, place: Path) -> None:
    decided(place, node, "one.json", c1="accept", c2="reject")

    done = looking("decide", "chairs", "one.json", "--by", "rita")

    plan = node.query("SELECT id FROM catalog_plan ORDER BY made_at DESC, id DESC LIMIT 1")[0]["id"]
    assert f"(1 image, 4 credits): `darkroom catalog apply {plan}`." in done.stdout
    assert len(node.query("SELECT id FROM batch")) == 1


def test_decide_applies_what_was_saved_in_the_console_in_its_authors_name(looking: Darkroom, node: Node) -> None:
    with node.services.database.transaction() as tx:
        tx.execute(
            text("""
                INSERT INTO catalog_decision (render_id, number, verdict, actor, decided_at)
                SELECT id, 1, 'accept', 'web:ann', now() FROM catalog_render""")
        )

    done = looking("decide", "chairs", "--saved", "--by", "rita")
    again = looking("decide", "chairs", "--saved", "--by", "rita")

    assert "2 accepted and live, 0 rejected." in done.stdout
    assert node.query("SELECT DISTINCT actor FROM catalog_live") == [{"actor": "web:ann"}]
    assert node.query("SELECT DISTINCT outcome, ended_by FROM catalog_decision") == [
        {"outcome": "applied", "ended_by": "rita"}
    ]
    assert again.returncode == 1


def test_decide_and_apply_render_exactly_the_rejected_at_once(looking: Darkroom, node: Node, place: Path) -> None:
    (place / "items.csv").write_text(f"{ITEMS_CSV}c3,green,\n")
    looking("import", "chairs", "items.csv")
    decided(place, node, "one.json", c1="accept", c2="reject")

    done = looking("decide", "chairs", "one.json", "--by", "rita", "--apply")

    assert done.returncode == 0, done.stderr
    keys = node.query("SELECT key FROM job JOIN batch b ON b.id = job.batch_id ORDER BY b.created_at DESC, key LIMIT 1")
    assert keys == [{"key": "c2"}]
    assert "1 job, 4 sandbox credits" in done.stdout


def test_what_was_decided_before_is_said_and_ends_with_1(looking: Darkroom, node: Node, place: Path) -> None:
    decided(place, node, "one.json", c1="accept", c2="accept")
    looking("decide", "chairs", "one.json", "--by", "rita")

    again = looking("decide", "chairs", "one.json", "--by", "rita")

    assert again.returncode == 1
    assert "Everything in it was decided before" in again.stderr


def test_of_several_files_the_one_that_was_saved_last_counts(looking: Darkroom, node: Node, place: Path) -> None:
    decided(place, node, "2.json", c1="accept")
    decided(place, node, "1.json", c1="reject", c2="accept")

    done = looking("decide", "chairs", "2.json", "1.json", "--by", "rita", "--json")

    assert json.loads(done.stdout)["accepted"] == ["c1", "c2"]


def test_many_images_make_several_numbered_sheets(looking: Darkroom, place: Path) -> None:
    done = looking("sheet", "chairs", "--limit", "1")

    pages = [(place / f"chairs-review-{number}.html").read_text() for number in (1, 2)]
    assert [page.count('class="card"') for page in pages] == [1, 1]
    assert "sheet 2 of 2" in pages[1]
    assert "decisions-chairs-" in done.stderr


def test_a_zip_file_holds_every_sheet_and_every_image_of_it(looking: Darkroom, node: Node, place: Path) -> None:
    looking("sheet", "chairs", "--zip", "look.zip", "--limit", "1")

    with ZipFile(place / "look.zip") as packed:
        packed.extractall(place / "elsewhere")
    pages = [(place / f"elsewhere/look/look-{number}.html").read_text() for number in (1, 2)]
    images = {path.name: path.read_bytes() for path in (place / "elsewhere/look/images").iterdir()}
    assert all(f'href="images/{name}"' in page for name, page in zip(sorted(images), pages, strict=True))
    assert sorted(images.values()) == sorted(path.read_bytes() for path in node.folder.rglob("*.png"))


def test_a_reason_is_shown_in_the_catalog_in_the_history_and_in_the_export(
    looking: Darkroom, node: Node, place: Path
) -> None:
    looking("decide", "chairs", "--reject", "c1", "--reason", "=a leg is missing", "--by", "rita")

    shown = json.loads(looking("show", "chairs", "--json").stdout)["rejections"]
    history = [json.loads(line) for line in looking("history", "chairs", "c1", "--json").stdout.splitlines()]
    table = list(csv.DictReader(io.StringIO(looking("export", "chairs", "--rejected").stdout)))
    exported = json.loads(looking("export", "chairs", "--rejected", "--format", "json").stdout)

    reason = "=a leg is missing"
    assert [(each["sku"], each["by"], each["reason"]) for each in shown] == [("c1", "rita", reason)]
    assert [(each["event"], each["by"], each["reason"]) for each in history] == [("rejected", "rita", reason)]
    assert [(each["sku"], each["reason"], each["state"]) for each in table] == [("c1", f"'{reason}", "rejected")]
    assert [each["reason"] for each in exported] == [reason]


def test_a_rejection_is_taken_back_by_the_sku(looking: Darkroom, node: Node) -> None:
    looking("decide", "chairs", "--reject", "c1", "--reason", "dark", "--by", "rita")

    done = looking("decide", "chairs", "--accept", "c1", "--by", "mia", "--json")

    history = [json.loads(line) for line in looking("history", "chairs", "c1", "--json").stdout.splitlines()]
    assert json.loads(done.stdout)["taken_back"] == ["c1"]
    assert [(each["event"], each["by"]) for each in history] == [("rejected", "rita"), ("live", "mia")]
    assert len(node.query("SELECT id FROM batch")) == 1


def test_a_plan_of_rejected_images_above_the_settings_threshold_waits_for_another_person(
    looking: Darkroom, node: Node
) -> None:
    order = ("decide", "chairs", "--reject", "c1", "--reason", "dark", "--by", "rita", "--apply", "--yes", "--json")

    looking(*order, DARKROOM_APPROVE_ABOVE="3")

    [plan] = node.query("SELECT needs_approval, applied_at FROM catalog_plan ORDER BY made_at DESC, id DESC LIMIT 1")
    assert plan == {"needs_approval": True, "applied_at": None}
    assert len(node.query("SELECT id FROM batch")) == 1


def test_a_later_file_of_the_same_sheet_takes_a_rejection_back(looking: Darkroom, node: Node, place: Path) -> None:
    decided(place, node, "one.json", saved_at="2020-01-01T00:00:00.000Z", c1="reject")
    decided(place, node, "two.json", saved_at="2020-01-01T00:00:01.000Z", c1="accept")
    looking("decide", "chairs", "one.json", "--by", "rita")

    done = looking("decide", "chairs", "two.json", "--by", "rita", "--json")

    assert json.loads(done.stdout)["taken_back"] == ["c1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name a file of decisions"),
        (("--accept", "c1", "--reason", "nice"), "--reason is why an image is rejected"),
        (("--accept", "c1", "--reject", "c1"), "both accepted and rejected"),
        (("--accept", "c9"), "no image of c9 waits for a decision"),
    ],
)
def test_what_cannot_be_decided_is_said_and_nothing_is_decided(
    looking: Darkroom, node: Node, options: tuple[str, ...], said: str
) -> None:
    done = looking("decide", "chairs", *options, "--by", "rita")

    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
    assert node.query("SELECT count(*) AS n FROM catalog_render WHERE state = 'candidate'") == [{"n": 2}]
