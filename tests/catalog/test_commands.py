"""The commands as a person types them: from a file of items to live images, and every refusal in a sentence."""

import json
from pathlib import Path

import pytest

from tests.catalog.conftest import ITEMS_CSV, RECIPE_TOML
from tests.cli.conftest import Darkroom
from tests.pipeline.node import Node


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
    (place / "items.csv").write_text(ITEMS_CSV.replace("blue", "dark blue"))
    imported("import", "chairs", "items.csv")

    lines = imported("plan", "chairs").stdout.splitlines()

    assert "render    1 (prompt changed 1)" in lines
    assert "keep      1 (unchanged 1)" in lines
    assert any(line.split() == ["c2", "prompt", "changed", "+dark"] for line in lines)


def test_a_stale_plan_is_refused_with_what_changed(imported: Darkroom, node: Node, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    (place / "items.csv").write_text(ITEMS_CSV.replace("blue", "green"))
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


def test_a_dear_plan_is_applied_after_another_person_approved_it(darkroom: Darkroom, place: Path) -> None:
    (place / "recipe.toml").write_text(f"approve_above_credits = 4\n{RECIPE_TOML}")
    darkroom("import", "chairs", "items.csv", "--recipe", "recipe.toml")
    planned = darkroom("plan", "chairs", "--out", "plan.json", "--by", "ann")
    refused = darkroom("apply", "plan.json")
    own = darkroom("approve", "plan.json", "--by", "ann")
    approved = darkroom("approve", "plan.json", "--by", "bob")

    applied = darkroom("apply", "plan.json")

    assert "approval  needed, by someone other than ann" in planned.stdout
    assert [done.returncode for done in (refused, own, approved, applied)] == [1, 1, 0, 0]
    assert "needs approval by someone other than ann" in refused.stderr
    assert "needs approval by someone other than" in own.stderr
    assert "2 jobs, 8 sandbox credits" in applied.stdout


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
    assert "nothing was imported: 1 invalid row" in refused.stderr


def test_a_plan_lists_what_it_keeps_with_the_reason(imported: Darkroom, place: Path) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    imported("apply", "plan.json")
    (place / "items.csv").write_text(f"{ITEMS_CSV}c3,grey,\n")
    imported("import", "chairs", "items.csv")

    screen = imported("plan", "chairs", "--rows", "2").stdout
    listed = json.loads(imported("plan", "chairs", "--out", "two.json", "--json").stdout)

    kept = [{"sku": "c1", "keep": "being rendered"}, {"sku": "c2", "keep": "being rendered"}]
    assert [line.split("  ")[0] for line in screen.splitlines() if line.startswith("c")][1:] == ["c3", "c1"]
    assert "... and 1 more: --rows 3" in screen
    assert listed["keeps"] == json.loads((place / "two.json").read_text())["keeps"] == kept


def test_a_saved_plan_is_shown_with_its_prompts_before_it_is_approved(imported: Darkroom, node: Node) -> None:
    imported("plan", "chairs", "--out", "plan.json", "--by", "ann")
    plan = node.query("SELECT id FROM catalog_plan")[0]["id"]

    shown = imported("show-plan", str(plan)).stdout
    listed = json.loads(imported("show-plan", "plan.json", "--json").stdout)

    assert "A red chair" in shown
    assert "8 credits for 2 images" in shown
    assert [each["prompt"] for each in listed["renders"]] == ["A red chair", "A blue chair"]
    assert (listed["made_by"], listed["state"]) == ("ann", "saved")
