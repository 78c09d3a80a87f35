"""What a client submits is taken whole and once, or refused with every reason."""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.fixtures import pictures
from tests.web.api.client import Client, client, count
from tests.web.serving import Web
from worker.core.rules.batch_request import Priority
from worker.web.context import WebContext
from worker.web.rules.identity import Right

LINES = b'{"prompt": "a vase"}\n{"prompt": "a bowl"}\n'
CSV = b"prompt,key\na vase,one\na bowl,two\n"
KEY = {"Idempotency-Key": "spring"}


def spooled(web: Web) -> list[Path]:
    folder = web.context.store.spool.path
    return list(folder.iterdir()) if folder.exists() else []


def test_a_document_is_taken_with_its_place(web: Web) -> None:
    found = client(web).submit(["a vase", "a bowl"], name="vases")

    assert (found.status_code, found.json()["jobs"], found.json()["credits"]) == (202, 2, 8)
    assert found.headers["Location"] == f"/api/v1/batches/{found.json()['batch']}"


@pytest.mark.parametrize(("kind", "body"), [("application/x-ndjson", LINES), ("text/csv", CSV)])
def test_lines_are_taken_with_the_fields_of_the_batch_in_the_query(web: Web, kind: str, body: bytes) -> None:
    shop = client(web)

    found = shop.post("/batches?name=vases&priority=refresh", data=body, headers={**KEY, "Content-Type": kind})

    shown = shop.get(found.headers["Location"].removeprefix("/api/v1")).json()
    assert (shown["size"], shown["name"], shown["priority"], shown["token"]) == (2, "vases", "refresh", "spring")


def test_references_come_as_parts_by_their_names(web: Web, tmp_path: Path) -> None:
    sha256 = pictures.reference(tmp_path, "vase.png")
    shop = client(web)
    files = [
        ("manifest", ("lines.jsonl", b'{"prompt": "like this", "reference": "vase.png"}\n', "application/x-ndjson")),
        ("files", ("vase.png", (tmp_path / "vase.png").read_bytes(), "image/png")),
        ("batch", (None, json.dumps({"name": "vases"}), "application/json")),
    ]

    found = shop.post("/batches", files=files, headers=KEY)

    lines = shop.get(f"/batches/{found.json()['batch']}/results").json()["results"]
    assert [line["reference"] for line in lines] == [f"sha256:{sha256}"]
    assert spooled(web) == []


def test_a_reference_that_was_not_sent_reads_no_file_of_the_server(web: Web, tmp_path: Path) -> None:
    pictures.reference(tmp_path, "vase.png")
    line = json.dumps({"prompt": "like this", "reference": str(tmp_path / "vase.png")}).encode()

    found = client(web).post("/batches", files=[("manifest", ("lines.jsonl", line))], headers=KEY)

    assert (found.status_code, found.json()["faults"][0]["field"]) == (422, "reference")
    assert "was sent with the requests" in found.json()["detail"]


def test_the_same_key_and_body_give_the_same_answer_and_nothing_more(web: Web) -> None:
    shop = client(web)

    first, again = shop.submit(["a vase"]), shop.submit(["a vase"])

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert (count(web.context.database, "batch"), count(web.context.database, "job")) == (1, 1)


@pytest.mark.parametrize(("prompts", "fields"), [(["a bowl"], {}), (["a vase"], {"credit_cap": 1})])
def test_the_same_key_with_another_body_is_refused(web: Web, prompts: list[str], fields: dict[str, Any]) -> None:
    shop = client(web)
    shop.submit(["a vase"])

    found = shop.submit(prompts, **fields)

    assert (found.status_code, found.json()["type"]) == (422, "urn:darkroom:error:token_taken")
    assert count(web.context.database, "batch") == 1


def test_a_key_of_another_owner_is_refused_without_saying_whose_it_is(web: Web) -> None:
    batch = client(web, "one", owner="one").submit(["a vase"]).json()["batch"]

    found = client(web, "two", owner="two").submit(["a vase"])

    assert found.status_code == 422
    assert batch not in found.text


def test_a_submission_without_a_key_is_refused(web: Web) -> None:
    found = client(web).post("/batches", json={"requests": [{"prompt": "a vase"}]})

    assert (found.status_code, found.json()["type"]) == (400, "urn:darkroom:error:idempotency_key_missing")


def test_a_key_is_refused_while_its_submission_is_being_taken(web: Web) -> None:
    shop, parts = client(web), urlsplit(web.url)
    headers = {**shop.headers, **KEY, "Host": parts.netloc, "Content-Type": "application/x-ndjson"}
    headers |= {"Content-Length": str(len(LINES)), "Expect": "100-continue", "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as first:
        first.sendall(f"POST /api/v1/batches HTTP/1.1\r\n{head}\r\n".encode())
        # It is said once the server begins to read the body, and has the key by then.
        assert first.recv(1024).startswith(b"HTTP/1.1 100")

        second = shop.post("/batches", data=b"", headers={**KEY, "Content-Type": "text/csv"})

        first.sendall(LINES)
        answer = first.recv(65536)
    assert (second.status_code, second.json()["type"]) == (409, "urn:darkroom:error:submission_in_flight")
    assert answer.startswith(b"HTTP/1.1 202")
    assert count(web.context.database, "batch") == 1


def test_every_fault_of_every_line_is_told_with_its_place(web: Web) -> None:
    body = b'{"prompt": ""}\n{"prompt": "a vase", "key": "a/b"}\nnonsense\n'

    found = client(web).post("/batches", data=body, headers={**KEY, "Content-Type": "application/x-ndjson"})

    assert found.headers["Content-Type"] == "application/problem+json"
    assert [(each["line"], each["field"]) for each in found.json()["faults"]] == [(1, "prompt"), (2, "key"), (3, "")]
    assert (found.status_code, found.json()["fault_count"]) == (422, 3)
    assert count(web.context.database, "batch") == 0


def test_invalid_lines_are_left_out_when_that_is_asked_for(web: Web) -> None:
    shop = client(web)
    headers = {**KEY, "Content-Type": "application/x-ndjson"}

    found = shop.post("/batches?skip_invalid=true", data=b'{"prompt": ""}\n{"prompt": "a vase"}\n', headers=headers)

    lines = shop.get(f"/batches/{found.json()['batch']}/results").json()["results"]
    assert (found.status_code, [line["state"] for line in lines]) == (202, ["refused", "pending"])


def test_a_dry_run_tells_the_price_and_the_faults_and_keeps_nothing(web: Web, tmp_path: Path) -> None:
    pictures.reference(tmp_path, "vase.png")
    lines = b'{"prompt": "a vase", "reference": "vase.png"}\n{"prompt": ""}\n'
    files = [
        ("manifest", ("lines.jsonl", lines, "application/x-ndjson")),
        ("files", ("vase.png", (tmp_path / "vase.png").read_bytes())),
    ]

    found = client(web).post("/batches?dry_run=true", files=files).json()

    assert (found["lines"], found["jobs"], found["credits"], found["fault_count"]) == (2, 1, 4, 1)
    assert [count(web.context.database, table) for table in ("batch", "job", "reference")] == [0, 0, 0]


def test_a_token_submits_for_its_owner_alone(web: Web) -> None:
    shop = client(web, owner="shop")

    own, other = shop.submit(["a vase"]), shop.submit(["a vase"], "other", owner="rival")

    assert shop.get(f"/batches/{own.json()['batch']}").json()["owner"] == "shop"
    assert other.status_code == 403


@pytest.mark.parametrize("named", [{"account": "default"}, {"pool": "bulk"}])
def test_a_token_of_an_owner_spends_from_no_account_but_its_owners(named: dict[str, str], web: Web) -> None:
    answer = client(web, owner="shop").submit(["a vase"], **named)

    assert (answer.status_code, count(web.context.database, "batch")) == (403, 0)
    assert "leave out account and pool" in answer.json()["detail"]


def test_a_token_asks_for_no_more_than_its_priority_and_its_cap(web: Web) -> None:
    shop = client(web, max_priority=Priority.REFRESH, credit_cap=10)

    answers = [
        shop.submit(["a vase"], "a", priority="interactive"),
        shop.submit(["a vase"], "b", credit_cap=11),
        shop.submit(["a vase"], "c"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 202]
    assert shop.get(f"/batches/{answers[2].json()['batch']}").json()["credits"]["cap"] == 10


def test_a_token_without_the_right_submits_nothing(web: Web) -> None:
    assert client(web, rights=[Right.READ]).submit(["a vase"]).status_code == 403


def test_the_token_that_submitted_is_in_the_log_of_changes(web: Web) -> None:
    client(web).submit(["a vase"])

    with web.context.database.transaction() as tx:
        actors = tx.exec_driver_sql("SELECT actor FROM change WHERE starts_with(subject, 'batch:')").scalars().all()
    assert actors == ["token:shop@tester"]


@pytest.mark.parametrize(
    ("query", "kind", "body", "status"),
    [
        ("", "text/plain", LINES, 415),
        ("", "", LINES, 415),
        ("", "application/x-ndjson", b"", 422),
        ("", "application/x-ndjson", b"\x1f\x8b\x08\x00", 415),
        ("", "text/csv", b"nothing\nto\nsee\n", 422),
        ("", "application/json", b"{", 400),
        ("", "application/json", b'{"requests": [], "requests": []}', 400),
        ("", "application/json", b"[]", 422),
        ("", "application/json", b'{"requests": []}', 422),
        ("", "application/json", b'{"batch": {"token": "x"}, "requests": [{"prompt": "x"}]}', 422),
        ("?dry-run=true", "application/x-ndjson", LINES, 400),
        ("?name=a&name=b", "application/x-ndjson", LINES, 400),
        ("?name=a", "application/json", b'{"requests": [{"prompt": "x"}]}', 400),
        ("", "multipart/form-data", b"", 400),
        ("", "multipart/form-data; boundary=x", b"garbage", 400),
        ("", "multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n', 400),
        ("", "multipart/form-data; boundary=x", b"--x--\r\n", 422),
    ],
)
def test_what_cannot_be_a_batch_is_a_problem_of_the_client(
    web: Web, query: str, kind: str, body: bytes, status: int
) -> None:
    found = client(web).post(f"/batches{query}", data=body, headers={**KEY, "Content-Type": kind})

    assert (found.status_code, found.json()["status"]) == (status, status), found.text
    assert (count(web.context.database, "batch"), spooled(web)) == (0, [])


def test_a_client_of_another_kind_of_token_is_told_how_to_authenticate(web: Web) -> None:
    for headers in ({}, {"Authorization": "Bearer dkr_wrong"}, {"Authorization": "Basic eDp5"}):
        found = requests.get(f"{web.url}/api/v1/batches", headers=headers, timeout=10)

        assert (found.status_code, found.headers["WWW-Authenticate"]) == (401, 'Bearer realm="darkroom"')


def test_a_token_of_the_context_is_the_only_one_that_counts(context: WebContext, web: Web) -> None:
    shop = Client(url=web.url, headers={"Authorization": "Bearer dkr_" + "x" * 43})

    assert shop.submit(["a vase"]).status_code == 401
    assert count(context.database, "batch") == 0
