"""The commands as a person types them: from a file of items to live images, and every refusal in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.conftest import run_here
from tests.fixtures import pictures
from tests.pipeline.node import Node

Darkroom = Callable[..., "CompletedProcess[str]"]

RECIPE = """
prompt = "A {{ colour }} chair"
review = "none"
[params]
image_size = "square"
"""
ITEMS = "sku,colour,reference\nc1,red,photos/c1.png\nc2,blue,\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder with items, their picture and a recipe."""
    (tmp_path / "photos").mkdir()
    pictures.reference(tmp_path / "photos", "c1.png")
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def darkroom(place: Path, node: Node, database_url: str) -> Darkroom:
    """Give the command beside a node: they share a database and a store."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    return lambda *arguments: run_here(place, settings, "catalog", *arguments)


@pytest.fixture
def imported(darkroom: Darkroom) -> Darkroom:
    """Give the command with a catalog of two items."""
    done = darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    assert done.returncode == 0, done.stderr
    return darkroom


def test_an_import_says_what_it_did_and_what_to_do_next(darkroom: Darkroom) -> None:
    done = darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")

    assert done.returncode == 0
    assert "catalog 'chairs': 2 items\n  added            2  c1, c2\n" in done.stdout
    assert "darkroom catalog plan chairs" in done.stdout


def test_an_import_as_json_names_every_sku(imported: Darkroom, place: Path) -> None:
    (place / "items.csv").write_text("sku,colour\nc2,black\nc3,green\n")

    done = json.loads(imported("import", "chairs", "items.csv", "--json").stdout)

    assert (done["added"], done["changed"], done["removed"], done["unchanged"]) == (["c3"], ["c2"], ["c1"], 0)


def test_items_come_from_a_query(darkroom: Darkroom, database_url: str) -> None:
    query = "SELECT 'c' || n AS sku, 'red' AS colour FROM generate_series(1, 3) n"

    done = darkroom("import", "q", "--sql", query, "--database-url", database_url, "--recipe", "recipe.toml")

    assert done.returncode == 0
    assert "3 items" in done.stdout


def test_a_plan_without_a_file_shows_price_and_reasons_and_keeps_nothing(imported: Darkroom, node: Node) -> None:
    shown = imported("plan", "chairs")

    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert lines[:4] == ["catalog   chairs, 2 items", "render    2 (new 2)", "keep      0", "price     8 credits"]
    assert "wallet    not known: the provider did not say" in lines
    assert any(line.startswith("duration  about 8 s at 10 requests/s and 3.0 requests an image") for line in lines)
    assert any(line.split() == ["c1", "new"] for line in lines)
    assert node.query("SELECT count(*) AS n FROM catalog_plan") == [{"n": 0}]


def test_from_a_file_to_live_images(imported: Darkroom, node: Node, place: Path) -> None:
    planned = json.loads(imported("plan", "chairs", "--out", "plan.json", "--by", "ann", "--json").stdout)
    applied = json.loads(imported("apply", "plan.json", "--json").stdout)
    node.run_until_quiet()
    again = imported("apply", "plan.json")
    shown = json.loads(imported("show", "chairs", "--json").stdout)

    assert (planned["render"], planned["price"], planned["counts"]) == (2, 8, {"new": 2})
    assert (applied["jobs"], applied["credits"], applied["is_new"]) == (2, 8, True)
    assert f"This plan is batch {applied['batch']} already" in again.stdout
    assert (shown["items"], shown["live"], shown["plans"][0]["state"]) == (2, 2, "applied")
    assert json.loads((place / "plan.json").read_text())["content_hash"] == planned["content_hash"]


def test_a_change_is_shown_with_its_words(imported: Darkroom, node: Node, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    imported("apply", "plan.json")
    node.run_until_quiet()
    (place / "items.csv").write_text(ITEMS.replace("blue", "dark blue"))
    imported("import", "chairs", "items.csv")

    lines = imported("plan", "chairs").stdout.splitlines()

    assert "render    1 (prompt changed 1)" in lines
    assert "keep      1 (unchanged 1)" in lines
    assert any(line.split() == ["c2", "prompt", "changed", "+dark"] for line in lines)


def test_a_stale_plan_is_refused_with_what_changed(imported: Darkroom, node: Node, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    (place / "items.csv").write_text(ITEMS.replace("blue", "green"))
    imported("import", "chairs", "items.csv")

    refused = imported("apply", "plan.json")

    assert refused.returncode == 1
    assert "so nothing was spent:\n  c2: its content is another one now\n" in refused.stderr
    assert node.jobs() == []


def test_an_edited_plan_is_refused(imported: Darkroom, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    plan = json.loads((place / "plan.json").read_text())
    (place / "plan.json").write_text(json.dumps(plan | {"content_hash": "0" * 64}))

    refused = imported("apply", "plan.json")

    assert refused.returncode == 1
    assert "plans are not edited" in refused.stderr


def test_a_dear_plan_is_applied_after_somebody_else_approved_it(darkroom: Darkroom, place: Path) -> None:
    (place / "recipe.toml").write_text(f"approve_above_credits = 4\n{RECIPE}")
    darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    planned = darkroom("plan", "chairs", "--out", "plan.json", "--by", "ann")
    refused = darkroom("apply", "plan.json")
    own = darkroom("approve", "plan.json", "--by", "ann")
    approved = darkroom("approve", "plan.json", "--by", "bob")

    applied = darkroom("apply", "plan.json")

    assert "approval  needed, by somebody else than ann" in planned.stdout
    assert [done.returncode for done in (refused, own, approved, applied)] == [1, 1, 0, 0]
    assert "needs the approval of somebody else than ann" in refused.stderr
    assert "needs the approval of somebody else" in own.stderr
    assert "2 jobs, 8 credits of the sandbox's" in applied.stdout


def test_a_plan_is_named_by_its_id_as_well(imported: Darkroom) -> None:
    plan = json.loads(imported("plan", "chairs", "--out", "plan.json", "--json").stdout)["plan"]

    assert json.loads(imported("apply", plan, "--json").stdout)["jobs"] == 2


def test_catalogs_are_listed(imported: Darkroom) -> None:
    listed = json.loads(imported("list", "--json").stdout)

    assert [(each["catalog"], each["items"], each["live"]) for each in listed] == [("chairs", 2, 0)]
    assert "chairs" in imported("list").stdout


def test_an_empty_list_says_how_to_begin(darkroom: Darkroom) -> None:
    assert "darkroom catalog import NAME items.csv --recipe recipe.toml" in darkroom("list").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("plan", "tables"), 1, "there is no catalog 'tables': there are 'chairs'"),
        (
            ("import", "tables", "items.csv"),
            2,
            "the catalog 'tables' is new: say how its images are made with --recipe",
        ),
        (("import", "chairs"), 2, "say where the items are: a file, or --sql"),
        (("import", "chairs", "--sql", "SELECT 1"), 2, "--sql needs --database-url"),
        (("import", "chairs", "none.csv"), 1, "none.csv: cannot be read"),
        (("import", " chairs", "items.csv"), 2, "the catalog's name begins or ends with a space"),
        (("plan", "chairs", "--force", "c9"), 1, "c9: is not in the catalog"),
        (("plan", "chairs", "--out", "no/where.json"), 1, "cannot be written"),
        (("apply", "none.json"), 2, "none.json: cannot be read"),
        (("apply", "items.csv"), 2, "items.csv: is not a plan"),
        (("apply", "01938b2e-0000-7000-8000-000000000000"), 1, "was not made with this database"),
    ],
)
def test_a_refusal_is_a_sentence_with_the_next_step(
    arguments: tuple[str, ...], code: int, said: str, imported: Darkroom
) -> None:
    refused = imported(*arguments)

    assert refused.returncode == code
    assert said in refused.stderr


def test_a_bad_recipe_is_refused_before_anything_is_read(darkroom: Darkroom, place: Path) -> None:
    (place / "recipe.toml").write_text('prompt = "{{ colour"\nreview = "no"\n')

    refused = darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")

    assert refused.returncode == 2
    assert "recipe.toml: review: 'no' is not known; permitted: none, required" in refused.stderr


def test_bad_rows_are_shown_with_their_skus(darkroom: Darkroom, place: Path) -> None:
    (place / "items.csv").write_text("sku,color\nc1,red\n")

    refused = darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")

    assert refused.returncode == 1
    assert "c1   prompt  the template names 'colour', and the item has no such field" in refused.stderr
    assert "nothing was imported: 1 row cannot be taken" in refused.stderr


@pytest.fixture
def looking(darkroom: Darkroom, node: Node, place: Path) -> Darkroom:
    """Give the command where two new images wait for a person."""
    (place / "recipe.toml").write_text(RECIPE.replace("none", "required"))
    darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    darkroom("plan", "chairs", "--out", "plan.json")
    darkroom("apply", "plan.json")
    node.run_until_quiet()
    darkroom("sheet", "chairs")
    return darkroom


def decided(place: Path, node: Node, name: str, **verdicts: str) -> None:
    """Write a file of decisions as a sheet saves it."""
    waiting = node.query("SELECT i.sku, r.id FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id")
    ids = {row["sku"]: str(row["id"]) for row in waiting}
    lines = [{"sku": sku, "render": ids[sku], "decision": verdict} for sku, verdict in verdicts.items()]
    document = {"darkroom": "decisions", "version": 1, "catalog": "chairs", "saved_at": name, "decisions": lines}
    (place / name).write_text(json.dumps(document))


def test_decide_names_the_command_that_renders_exactly_the_rejected(looking: Darkroom, node: Node, place: Path) -> None:
    decided(place, node, "one.json", c1="accept", c2="reject")

    done = looking("decide", "chairs", "one.json", "--by", "rita")

    plan = node.query("SELECT id FROM catalog_plan ORDER BY made_at DESC, id DESC LIMIT 1")[0]["id"]
    assert f"(1 image, 4 credits): `darkroom catalog apply {plan}`." in done.stdout
    assert len(node.query("SELECT id FROM batch")) == 1


def test_decide_and_apply_render_exactly_the_rejected_at_once(looking: Darkroom, node: Node, place: Path) -> None:
    (place / "items.csv").write_text(f"{ITEMS}c3,green,\n")
    looking("import", "chairs", "items.csv")
    decided(place, node, "one.json", c1="accept", c2="reject")

    done = looking("decide", "chairs", "one.json", "--by", "rita", "--apply")

    assert done.returncode == 0, done.stderr
    keys = node.query("SELECT key FROM job JOIN batch b ON b.id = job.batch_id ORDER BY b.created_at DESC, key LIMIT 1")
    assert keys == [{"key": "c2"}]
    assert "1 job, 4 credits" in done.stdout


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


def test_a_plan_lists_what_it_keeps_with_the_reason(imported: Darkroom, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    imported("apply", "plan.json")
    (place / "items.csv").write_text(f"{ITEMS}c3,grey,\n")
    imported("import", "chairs", "items.csv")

    screen = imported("plan", "chairs", "--rows", "2").stdout
    listed = json.loads(imported("plan", "chairs", "--out", "two.json", "--json").stdout)

    kept = [{"sku": "c1", "keep": "being rendered"}, {"sku": "c2", "keep": "being rendered"}]
    assert [line.split("  ")[0] for line in screen.splitlines() if line.startswith("c")][1:] == ["c3", "c1"]
    assert "... and 1 more: --rows 3" in screen
    assert listed["keeps"] == json.loads((place / "two.json").read_text())["keeps"] == kept


def test_a_saved_plan_is_shown_with_its_prompts_to_whoever_approves_it(imported: Darkroom, node: Node) -> None:
    imported("plan", "chairs", "--out", "plan.json", "--by", "ann")
    plan = node.query("SELECT id FROM catalog_plan")[0]["id"]

    shown = imported("show-plan", str(plan)).stdout
    listed = json.loads(imported("show-plan", "plan.json", "--json").stdout)

    assert "A red chair" in shown
    assert "8 credits for 2 images" in shown
    assert [each["prompt"] for each in listed["renders"]] == ["A red chair", "A blue chair"]
    assert (listed["made_by"], listed["state"]) == ("ann", "saved")
