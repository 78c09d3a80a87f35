"""A catalog that is removed plans and renders nothing more, and keeps on record what was rendered and paid."""

import json

from tests.cli.conftest import Darkroom, run_here
from tests.pipeline.node import Node

PAID = "SELECT count(*) AS jobs, (SELECT count(*) FROM credit_entry) AS entries FROM job WHERE state = 'succeeded'"


def rendered(imported: Darkroom, node: Node) -> None:
    imported("plan", "chairs", "--out", "plan.json", "--by", "ann")
    imported("apply", "plan.json")
    node.run_until_quiet()


def test_a_removed_catalog_is_off_the_list_and_its_history_and_its_ledger_stay(imported: Darkroom, node: Node) -> None:
    rendered(imported, node)
    before = node.query(PAID)

    removed = imported("remove", "chairs", "--yes", "--by", "ann", "--json")

    assert json.loads(removed.stdout) == {"catalog": "chairs", "removed": True, "items": 2, "refused_plans": 0}
    assert json.loads(imported("list", "--json").stdout) == []
    assert json.loads(imported("history", "chairs", "c1", "--json").stdout)["is_live"] is True
    assert node.query(PAID) == before


def test_the_commands_of_a_removed_catalog_say_who_removed_it_and_what_brings_it_back(imported: Darkroom) -> None:
    imported("remove", "chairs", "--yes", "--by", "ann")

    refused = imported("plan", "chairs")

    assert refused.returncode == 1
    assert "was removed by ann" in refused.stderr
    assert "`darkroom catalog import`" in refused.stderr


def test_an_import_brings_a_removed_catalog_back_with_its_live_images(imported: Darkroom, node: Node) -> None:
    rendered(imported, node)
    imported("remove", "chairs", "--yes")

    back = json.loads(imported("import", "chairs", "items.csv", "--json").stdout)
    shown = json.loads(imported("show", "chairs", "--json").stdout)

    assert (back["is_new"], back["returned"]) == (False, ["c1", "c2"])
    assert (shown["items"], shown["live"]) == (2, 2)


def test_an_open_plan_is_refused_with_its_catalog_and_spends_nothing(imported: Darkroom) -> None:
    imported("plan", "chairs", "--out", "plan.json")

    removed = imported("remove", "chairs", "--yes", "--by", "ann")
    applied = imported("apply", "plan.json")

    assert "1 open plan refused" in removed.stdout
    assert applied.returncode == 1
    assert "the catalog was removed" in applied.stderr


def test_a_catalog_whose_images_are_being_rendered_is_not_removed_and_the_command_is_named(imported: Darkroom) -> None:
    imported("plan", "chairs", "--out", "plan.json")
    batch = json.loads(imported("apply", "plan.json", "--json").stdout)["batch"]

    refused = imported("remove", "chairs", "--yes")

    assert refused.returncode == 1
    assert f"`darkroom cancel {batch}`" in refused.stderr
    assert len(json.loads(imported("list", "--json").stdout)) == 1


def test_a_catalog_that_a_schedule_plans_is_not_removed_and_the_command_is_named(
    imported: Darkroom, node: Node, database_url: str
) -> None:
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    weekly = ("weekly", "--catalog", "chairs", "--cron", "0 2 * * 1", "--tz", "UTC", "--cap", "40")
    added = run_here(node.folder, settings, "schedule", "add", *weekly)

    refused = imported("remove", "chairs", "--yes")

    assert added.returncode == 0, added.stderr
    assert refused.returncode == 1
    assert "`darkroom schedule remove weekly`" in refused.stderr


def test_without_a_terminal_and_without_a_yes_nothing_is_removed(imported: Darkroom) -> None:
    refused = imported("remove", "chairs")

    assert refused.returncode == 2
    assert "2 items, 0 of them live" in refused.stderr
    assert "--yes" in refused.stderr
    assert len(json.loads(imported("list", "--json").stdout)) == 1
