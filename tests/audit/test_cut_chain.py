"""A chain of seals whose end was cut off: found while sealing runs, and by what was written down elsewhere."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.audit.conftest import Tamper, post
from tests.pipeline.node import Node
from worker.audit import chain, sealing
from worker.audit.chain import Anchor, NoAnchor
from worker.audit.verify import verify
from worker.engine.queries import maintenance as rows
from worker.node import maintenance

HOUR = timedelta(hours=1)
CUT = ("DELETE FROM ledger_rollup WHERE seal_id >= :first", "DELETE FROM seal WHERE id >= :first")


@pytest.fixture
def sealed(node: Node) -> Node:
    """Return a ledger of five seals, an hour apart."""
    node.keep({"seal": HOUR})
    for _ in range(5):
        seal_on_time(node)
        node.clock.advance(HOUR)
        post(node, node.clock())
    return node


def seal_on_time(node: Node) -> list[Any]:
    """Let the sealing that is due run; gives what it logs."""
    with node.services.database.transaction() as tx:
        rows.claim_due(tx, node.services.account_id, now=node.clock())
    with capture_logs() as logged:
        maintenance.run(node.services, "seal")
    return logged


def cut(tamper: Tamper, *, first: int) -> None:
    """Take away a seal and all that follow it, with their sums."""
    for statement in CUT:
        tamper(statement, first=first)


def broken(node: Node, *known: Anchor) -> dict[str, tuple[Any, ...]]:
    with node.services.database.engine.connect() as tx:
        checks = verify(tx, known=known).checks
    return {each.name: each.examples for each in checks if not each.ok and each.name in {"sealed_in_time", "anchors"}}


def anchor(node: Node, number: int) -> Anchor:
    row = node.query("SELECT encode(hash, 'hex') AS hash FROM seal WHERE id = :id", id=number)[0]
    return Anchor(where="a safe", seal=number, hash=row["hash"])


def test_a_chain_that_is_sealed_on_time_is_whole(sealed: Node) -> None:
    assert broken(sealed, anchor(sealed, 1), anchor(sealed, 3)) == {}


def test_a_chain_whose_end_was_cut_off_is_found_while_sealing_runs(sealed: Node, tamper: Tamper) -> None:
    cut(tamper, first=2)

    assert broken(sealed)["sealed_in_time"][0]["entry"] == 5


def test_a_chain_that_is_gone_is_found_while_sealing_runs(sealed: Node, tamper: Tamper) -> None:
    tamper("DELETE FROM ledger_rollup")
    tamper("DELETE FROM seal")

    assert broken(sealed)["sealed_in_time"][0]["sealed_up_to"] is None


def test_a_chain_that_was_cut_and_sealed_anew_is_named_by_an_anchor(sealed: Node, tamper: Tamper) -> None:
    known = anchor(sealed, 1), anchor(sealed, 3)
    cut(tamper, first=3)
    tamper("UPDATE credit_entry SET actor = 'Eve' WHERE id = 6")
    sealing.seal(sealed.services.database, now=sealed.clock())

    found = broken(sealed, *known)

    assert [(each["seal"], each["written_down_in"]) for each in found["anchors"]] == [(3, "a safe")]
    assert "cut at or before it, and sealed anew" in found["anchors"][0]["fault"]


def test_an_anchor_of_a_seal_that_is_gone_says_so(sealed: Node, tamper: Tamper) -> None:
    known = anchor(sealed, 3)
    cut(tamper, first=3)

    assert "is gone" in broken(sealed, known)["anchors"][0]["fault"]


def test_each_seal_is_logged_once_with_its_hash(sealed: Node) -> None:
    first, again = seal_on_time(sealed), seal_on_time(sealed)

    assert [(line["event"], line["seal"], line["hash"]) for line in first] == [
        ("ledger.sealed", 6, anchor(sealed, 6).hash)
    ]
    assert again == []


@pytest.mark.parametrize(
    "line",
    [
        f"2026-11-22 [info     ] ledger.sealed      hash={'a' * 64} seal=7 until=12",
        json.dumps({"event": "ledger.sealed", "seal": 7, "hash": "a" * 64}),
        json.dumps({"report": "statement", "seal": {"number": 7, "hash": "a" * 64}}),
        json.dumps({"report": "statement", "evidence": {"seal": {"number": 7, "hash": "a" * 64}}}),
    ],
    ids=["log", "log as JSON", "evidence", "report"],
)
def test_an_anchor_is_read_from_evidence_and_from_logs(line: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(f"{line}\n")

    assert chain.read_anchors([file]) == [Anchor(where="file", seal=7, hash="a" * 64)]


def test_a_folder_stands_for_the_evidence_in_it(tmp_path: Path) -> None:
    (tmp_path / "spend.csv.evidence.json").write_text(json.dumps({"seal": {"number": 2, "hash": "b" * 64}}))

    assert [each.seal for each in chain.read_anchors([tmp_path])] == [2]


def test_a_file_without_any_seal_is_no_anchor(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.write_text("nothing\n")

    with pytest.raises(NoAnchor, match="names no seal"):
        chain.read_anchors([file])
