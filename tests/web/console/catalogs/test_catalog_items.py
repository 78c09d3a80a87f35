"""A catalog is imported from a file in the console, exported and removed; what is wrong with a file is said."""

from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from tests.fixtures import pictures
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web

RECIPE = """prompt = '''
A {{ colour }} mug
on a table'''
review = "required"
"""
ITEMS = "sku,colour\na,red\nb,blue\n"


def upload(
    browser: requests.Session,
    web: Web,
    items: str = ITEMS,
    recipe: str = RECIPE,
    *,
    name: str = "mugs",
    query: str = "",
    files: dict[str, bytes] | None = None,
    extra: str = "",
) -> requests.Response:
    """Send the form as a browser does: a textarea's lines end with CR and LF."""
    parts: list[tuple[str, object]] = [
        ("manifest", ("items.csv", items, "text/csv")),
        ("batch", (None, recipe.replace("\n", "\r\n"))),
        ("allow_extra", (None, extra)),
        *(("references", (each, content, "image/png")) for each, content in (files or {}).items()),
    ]
    return browser.post(f"{web.url}/catalogs/{name}/import{query}", files=parts, timeout=60)  # type: ignore[arg-type]


def items(web: Web) -> list[tuple[str, str]]:
    with web.context.database.transaction() as tx:
        rows = tx.execute(
            text("SELECT sku, fields ->> 'colour' AS colour FROM catalog_item WHERE removed_at IS NULL ORDER BY sku")
        )
        return [(row.sku, row.colour) for row in rows]


@pytest.fixture
def manager(web: Web) -> requests.Session:
    return signed_in(web, "operator")


def test_a_catalog_is_made_changed_and_planned(web: Web, manager: requests.Session) -> None:
    first = text_of(upload(manager, web))
    form = get(manager, web, "/catalogs/mugs/import")
    second = text_of(upload(manager, web, "sku,colour\na,green\nc,grey\n"))
    planned = manager.post(f"{web.url}/catalogs/mugs/plan", timeout=30)

    assert "2 items of a new catalog. Nothing was spent. Added 2 a, b" in first
    assert "prompt = &#39;&#39;&#39;\nA {{ colour }} mug\non a table&#39;&#39;&#39;" in form.text
    assert "Added 1 c Changed 1 a Came back 0 Removed 1 b Unchanged 0" in second
    assert items(web) == [("a", "green"), ("c", "grey")]
    assert "Renders 2 images of 2 items" in text_of(planned)
    assert "1 added, 1 changed, 0 back, 1 removed" in text_of(get(signed_in(web), web, "/audit-log"))


def test_the_recipe_of_the_form_is_the_one_that_is_there(web: Web, manager: requests.Session) -> None:
    upload(manager, web)
    toml = get(manager, web, "/catalogs/mugs/import").text.partition("<textarea")[2].partition(">")[2]
    toml = toml.partition("</textarea>")[0].replace("&#39;", "'").replace("&#34;", '"')

    again = text_of(upload(manager, web, recipe=toml))

    assert "with a new recipe" not in again
    assert "Unchanged 2" in again


def test_references_come_with_the_form_and_no_path_of_the_server_is_read(
    web: Web, manager: requests.Session, tmp_path: Path
) -> None:
    pictures.reference(tmp_path)
    content = (tmp_path / "reference.png").read_bytes()
    recipe = 'prompt = "A {{ colour }} mug"\n'

    with_file = upload(manager, web, "sku,colour,reference\na,red,mug.png\n", recipe, files={"mug.png": content})
    without = upload(manager, web, f"sku,colour,reference\na,red,{tmp_path / 'reference.png'}\n", recipe)

    assert "1 item of a new catalog" in text_of(with_file)
    assert without.status_code == 422
    assert "Nothing was imported" in text_of(without)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"items": "sku,colour\na,red\na,blue\n"}, "Some rows cannot be items"),
        ({"items": "colour\nred\n"}, "sku"),
        ({"items": ""}, "is empty"),
        ({"recipe": "prompt = "}, "is not TOML"),
        ({"recipe": 'review = "required"'}, "it is the template of every prompt"),
        ({"recipe": 'prompt = "A {{ shape }} mug"'}, "Some rows cannot be items"),
        ({"name": "%20mugs"}, "begins or ends with a space"),
    ],
)
def test_what_cannot_be_imported_is_said_and_what_was_typed_stays(
    web: Web, manager: requests.Session, sent: dict[str, str], said: str
) -> None:
    answer = upload(manager, web, **sent)  # type: ignore[arg-type]

    assert (answer.status_code, said in text_of(answer), items(web)) == (422, True, [])
    assert "<textarea" in answer.text


def test_most_items_are_removed_only_where_that_is_said(web: Web, manager: requests.Session) -> None:
    upload(manager, web, "sku,colour\n" + "".join(f"m{number},red\n" for number in range(20)))

    refused = upload(manager, web, "sku,colour\nm1,red\n")
    before = len(items(web))
    upload(manager, web, "sku,colour\nm1,red\n", query="?remove_many=1")

    assert (refused.status_code, before, len(items(web))) == (422, 20, 1)
    assert "would remove 19 of 20 items" in text_of(refused)


def test_a_catalog_is_exported_and_removed_and_both_are_in_the_audit_log(web: Web, manager: requests.Session) -> None:
    upload(manager, web)

    live = get(manager, web, "/catalogs/mugs/live.csv")
    rejected = get(manager, web, "/catalogs/mugs/rejected.csv")
    gone = manager.post(f"{web.url}/catalogs/mugs/remove", timeout=30)

    assert live.text.startswith("sku,")
    assert rejected.text.startswith("sku,")
    assert "The catalog is removed" in text_of(gone)
    assert "No catalog yet" in text_of(gone)
    assert "live images" in text_of(get(signed_in(web), web, "/audit-log"))


def test_who_may_only_read_imports_and_removes_nothing(web: Web, manager: requests.Session) -> None:
    upload(manager, web)
    reader = signed_in(web, "viewer", "finance")

    assert upload(reader, web).status_code == 403
    for what in ("remove", "rollback"):
        assert reader.post(f"{web.url}/catalogs/mugs/{what}", timeout=30).status_code == 403
    get(reader, web, "/catalogs/mugs/import", status=403)
    assert len(items(web)) == 2


def test_an_own_column_that_looks_like_another_is_kept_when_the_form_names_it(
    web: Web, manager: requests.Session
) -> None:
    lines = "sku,colour,refrence\na,red,7\n"

    refused = upload(manager, web, lines)
    done = upload(manager, web, lines, extra="refrence")

    assert refused.status_code == 422
    assert "Here: name it under Own columns in the form." in text_of(refused)
    assert "1 item of a new catalog" in text_of(done)
