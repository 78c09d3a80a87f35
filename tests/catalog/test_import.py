"""An import makes a catalog what its source says, whole or not at all, and says what that changed."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.catalog.shop import Shop
from tests.fixtures import pictures
from worker.catalog import importing
from worker.catalog.importing import TooManyRemoved
from worker.catalog.items import ItemsRefused
from worker.catalog.queries.sql_source import SourceFailed
from worker.intake.manifest import Row

RED = {"sku": "c1", "colour": "red"}
BLUE = {"sku": "c2", "colour": "blue"}
ITEMS = "SELECT sku, fields, removed_at IS NOT NULL AS gone FROM catalog_item ORDER BY position, sku"


def faults(shop: Shop, *rows: Mapping[str, object], **recipe: object) -> list[str]:
    with pytest.raises(ItemsRefused) as refused:
        shop.bring_in(*rows, **recipe)
    return [str(fault) for fault in refused.value.faults]


def test_a_first_import_makes_the_catalog_and_adds_every_item(shop: Shop) -> None:
    done = shop.bring_in(RED, BLUE)

    assert (done.is_new, done.items, done.merge.added, done.unchanged) == (True, 2, ["c1", "c2"], 0)
    assert [row["fields"] for row in shop.node.query(ITEMS)] == [RED, BLUE]


def test_an_import_of_the_same_changes_nothing(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)

    done = shop.bring_in(RED, BLUE)

    assert (done.merge.added, done.merge.changed, done.merge.removed, done.unchanged) == ([], [], [], 2)
    assert not done.is_new
    assert not done.has_new_recipe


def test_an_import_says_what_was_added_changed_and_removed(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)

    done = shop.bring_in({"sku": "c3", "colour": "green"}, {"sku": "c1", "colour": "black"})

    assert (done.merge.added, done.merge.changed, done.merge.removed) == (["c3"], ["c1"], ["c2"])
    assert [(row["sku"], row["gone"]) for row in shop.node.query(ITEMS)] == [
        ("c3", False),
        ("c1", False),
        ("c2", True),
    ]


def test_an_item_that_was_removed_comes_back(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.bring_in(RED)

    done = shop.bring_in(RED, BLUE)

    assert (done.merge.returned, done.merge.added, done.merge.changed) == (["c2"], [], [])


def test_a_new_recipe_is_said(shop: Shop) -> None:
    shop.bring_in(RED)

    assert shop.bring_in(RED, prompt="One {{ colour }} chair").has_new_recipe


def test_a_reference_is_stored_under_its_hash_and_other_bytes_are_a_change(shop: Shop) -> None:
    first = pictures.reference(shop.node.folder, "c1.png", shade=1)
    shop.bring_in({**RED, "reference": "c1.png"})
    second = pictures.reference(shop.node.folder, "c1.png", shade=2)

    done = shop.bring_in({**RED, "reference": "c1.png"})

    assert done.merge.changed == ["c1"]
    assert (shop.node.folder / "references" / first).exists()
    assert shop.node.query("SELECT reference_hash AS h FROM catalog_item") == [{"h": second}]


def test_a_reference_under_another_name_with_the_same_bytes_is_no_change(shop: Shop) -> None:
    pictures.reference(shop.node.folder, "one.png", shade=1)
    pictures.reference(shop.node.folder, "two.png", shade=1)
    shop.bring_in({**RED, "reference": "one.png"})

    assert shop.bring_in({**RED, "reference": "two.png"}).merge.changed == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"colour": "red"}, "line 2, sku: is missing: every item needs its own"),
        ({"sku": "c9"}, "line 2 (key c9), prompt: the template names 'colour', and the item has no such field"),
        ({"sku": "C1", "colour": "x"}, "line 2 (key C1), sku: was used before, in line 1 (case is ignored)"),
        ({"sku": "a/b", "colour": "x"}, "line 2, sku: 'a/b' holds /"),
        ({"sku": "c9", "colour": "x" * 6000}, "line 2 (key c9), prompt: has 6,008 characters"),
        ({"sku": "c9", "colour": "x", "reference": "no.png"}, "line 2 (key c9), reference: there is no file 'no.png'"),
        ({"sku": "c9", "colour": "x", "reference": f"sha256:{'0' * 64}"}, "no reference sha256:"),
    ],
)
def test_one_bad_row_refuses_the_import_with_its_sku_and_its_reason(
    row: Mapping[str, object], said: str, shop: Shop
) -> None:
    found = faults(shop, RED, row)

    assert len(found) == 1
    assert said in found[0]
    assert shop.node.query("SELECT count(*) AS n FROM catalog") == [{"n": 0}]


def test_columns_may_have_the_names_that_the_recipe_says(shop: Shop) -> None:
    pictures.reference(shop.node.folder, "c1.png")
    row = {"article": "c1", "colour": "red", "photo": "c1.png", "reference": "free text"}

    done = shop.bring_in(row, sku="article", reference="photo", prompt="{{ article }} {{ colour }} {{ reference }}")

    assert done.merge.added == ["c1"]
    assert faults(shop, {"sku": "c1"}, sku="article") == ["line 1, article: is missing: every item needs its own"]


def test_an_import_that_would_remove_most_items_is_refused_until_it_is_meant(shop: Shop) -> None:
    rows = [{"sku": f"c{n}", "colour": "red"} for n in range(20)]
    shop.bring_in(*rows)

    with pytest.raises(TooManyRemoved, match="would remove 11 of 20 items"):
        shop.bring_in(*rows[:9], prompt="Another {{ colour }} chair")

    assert shop.bring_in(*rows).unchanged == 20


def test_a_csv_file_needs_the_column_of_the_sku(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("article;colour\nc1;red\n")

    found = list(importing.from_file(path, form=None, sku="sku"))

    assert "line 1, sku: the header has no such column; it has 'article', 'colour'" in str(found[0])


def test_items_come_from_a_query_and_only_read(shop: Shop, database_url: str) -> None:
    shop.bring_in(RED, BLUE)
    query = "SELECT sku, fields ->> 'colour' AS colour, 1.50 AS price, added_at::date AS day FROM catalog_item"

    rows = list(importing.from_query(database_url, query))

    assert rows == [
        Row(line=1, raw={"sku": "c1", "colour": "red", "price": "1.50", "day": "2020-11-22"}),
        Row(line=2, raw={"sku": "c2", "colour": "blue", "price": "1.50", "day": "2020-11-22"}),
    ]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("DELETE FROM catalog_item RETURNING sku", 'at or near "DELETE"'),
        ("SELECT nextval('call_id_seq')", "read-only transaction"),
    ],
)
def test_a_query_that_writes_is_refused_and_changes_nothing(
    query: str, reason: str, shop: Shop, database_url: str
) -> None:
    shop.bring_in(RED)

    with pytest.raises(SourceFailed, match=reason):
        list(importing.from_query(database_url, query))

    assert len(shop.node.query(ITEMS)) == 1


def test_items_come_from_another_kind_of_database_and_nothing_is_kept_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE item (sku TEXT, colour TEXT)"))
        connection.execute(text("INSERT INTO item VALUES ('c1', '100% red')"))

    rows = list(importing.from_query(url, "DELETE FROM item WHERE colour LIKE '100%' RETURNING sku"))

    assert rows == [Row(line=1, raw={"sku": "c1"})]
    assert len(list(importing.from_query(url, "SELECT * FROM item"))) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "cannot be read"),
        ("oracle+none://h/d", "no driver here"),
        ("postgresql://user:secret@127.0.0.1:9/none", "was not answered"),
    ],
)
def test_a_database_that_cannot_be_asked_is_a_sentence_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(SourceFailed, match=reason) as failed:
        list(importing.from_query(url, "SELECT 1"))

    assert "secret" not in str(failed.value)


def test_items_of_a_model_with_several_references_are_other_items_when_one_of_them_is_another(
    shop: Shop,
) -> None:
    for n in range(3):
        pictures.reference(shop.node.folder, f"m{n}.png", shade=3000 + n)
    chair = {"sku": "c1", "colour": "red", "reference": "m0.png"}
    several = {"model": "nano-banana", "params": {"imageSize": "auto"}}
    shop.bring_in({**chair, "reference_2": "m1.png"}, **several)
    first = [each.fingerprint for each in shop.plan().outline.renders]
    changed = shop.bring_in({**chair, "reference_2": "m2.png"}, **several).merge.changed
    again = shop.bring_in({**chair, "reference_2": "m2.png"}, **several).merge.changed

    shop.refresh()

    [made] = shop.node.query("SELECT j.fingerprint, r.parts FROM catalog_render r JOIN job j ON j.id = r.job_id")
    assert (list(changed), list(again)) == (["c1"], [])
    assert [made["fingerprint"]] != first
    assert len(made["parts"]["reference"]) == 2
    assert shop.plan().outline.renders == []


def test_a_column_that_was_meant_for_the_reference_is_a_fault(shop: Shop) -> None:
    assert "this column is written 'reference'" in faults(shop, {**RED, "refrence": "c1.png"})[0]
    assert "this column is written 'photo'" in faults(shop, {**RED, "phtoo": "c1.png"}, reference="photo")[0]


def test_a_parameter_among_the_items_is_a_fault_that_names_the_recipe(shop: Shop) -> None:
    assert "below [params]" in faults(shop, {**RED, "output_format": "jpeg"})[0]


def test_fields_that_describe_an_item_are_its_own_and_those_that_are_not_used_are_named(shop: Shop) -> None:
    done = shop.bring_in({**RED, "size": "42", "width": "80", "x_output_format": "?"})

    assert done.kept == ("size", "width", "x_output_format")
