"""What is live is handed to a shop: each SKU with its file, address and hash, always in the same order."""

import csv
import hashlib
import io
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.catalog.team import Team
from worker.catalog import publishing
from worker.catalog.publishing import EXPORT_COLUMNS
from worker.catalog.queries import live
from worker.catalog.rules.catalog import ExportForm


def exported(team: Team, form: ExportForm) -> str:
    found = live.live_now(team.node.services.database, team.catalog.id)
    return "".join(publishing.exported_lines(publishing.exported_rows(found, team.node.services.store), form))


def test_each_address_leads_to_the_bytes_of_the_hash(team: Team) -> None:
    team.stock({"a": "red"})
    team.refresh()

    row = json.loads(exported(team, ExportForm.JSON))[0]

    content = Path(unquote(urlsplit(row["url"]).path)).read_bytes()
    assert hashlib.sha256(content).hexdigest() == row["sha256"]
    assert tuple(row) == EXPORT_COLUMNS


def test_skus_are_in_the_order_of_their_bytes_and_removed_or_unrendered_ones_are_not_there(team: Team) -> None:
    team.stock({"b": "red", "a": "blue", "Z": "grey", "gone": "green", "é": "black"})
    team.refresh()
    team.stock({"b": "red", "a": "blue", "Z": "grey", "é": "black", "new": "white"})

    rows = list(csv.DictReader(io.StringIO(exported(team, ExportForm.CSV))))

    assert [row["sku"] for row in rows] == ["Z", "a", "b", "é"]


def test_the_same_live_set_is_the_same_bytes(team: Team) -> None:
    team.stock({"a": "red", "b": "blue"})
    team.refresh()

    assert exported(team, ExportForm.CSV) == exported(team, ExportForm.CSV)


def test_an_empty_live_set_is_a_header_or_an_empty_list(team: Team) -> None:
    team.stock({"a": "red"})

    assert exported(team, ExportForm.CSV) == ",".join(EXPORT_COLUMNS) + "\n"
    assert json.loads(exported(team, ExportForm.JSON)) == []


def test_an_export_is_the_live_set_of_one_instant(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes live between two of its pages is not half in it."""
    monkeypatch.setattr(live, "PAGE", 1)
    team.stock({"a": "red", "b": "red"})
    team.refresh()
    before = team.live_renders()
    reading = live.live_now(team.node.services.database, team.catalog.id)
    first = next(reading)
    team.stock({"a": "blue", "b": "blue"})
    team.refresh()

    found = {each.sku: each.render_id for each in [first, *reading]}

    assert found == before


def test_a_sku_that_a_spreadsheet_would_carry_out_has_an_apostrophe_before_it(team: Team) -> None:
    team.stock({"=1+1": "red", "+7": "blue"})
    team.refresh()

    rows = list(csv.DictReader(io.StringIO(exported(team, ExportForm.CSV))))

    assert [row["sku"] for row in rows] == ["+7", "'=1+1"]
    assert all(row["width"].isdigit() for row in rows)
