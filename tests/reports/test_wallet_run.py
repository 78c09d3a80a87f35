"""A run with lost answers, others' spending, a top-up and a balance below zero reconciles without wrong accusation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures import databases
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.doubts import ANN
from tests.pipeline.node import Clock, Node
from tests.reports.conftest import read_wallet
from tests.reports.test_agreement import rows
from worker.audit import resolve
from worker.audit.reports import Report, ReportQuery, build
from worker.audit.rules.reporting import ReportName
from worker.audit.sealing import closed_instant

IMAGES = 400
PHASES = 8
SPENT_BY_OTHERS = (4, 7, 4, 0, 8, 50, 0, 4)
"""Credits that others spend in each phase: an image costs 4, so that some look like ours."""
LOST_IN = (1, 4, 6)
"""Phases in which two answers are lost for good; in one of them others spend nothing."""
TOPPED_UP_IN = 4
TOP_UP = 500


@dataclass(kw_only=True)
class Run:
    """A node that has worked, what really happened to the wallet by the end of each interval, and both reports."""

    node: Node
    provider: Provider
    outside: list[int] = field(default_factory=list)
    bought: list[int] = field(default_factory=list)
    readings: list[int] = field(default_factory=list)
    doubtful: dict[str, bool] = field(default_factory=dict)
    """Each generation in doubt, and whether the provider did charge it."""
    undecided: Report = field(init=False)
    """The reconciliation at the end of the run."""
    decided: Report = field(init=False)
    """The same after a person has found out the truth about each doubt."""

    def read(self, *, outside: int = 0, bought: int = 0) -> None:
        """End an interval, in which others spent and somebody bought so much."""
        if bought - outside:
            self.provider.fund(self.provider.wallet()["available"] + bought - outside)
        self.node.clock.advance(timedelta(minutes=5))
        read_wallet(self.node)
        self.outside.append(outside)
        self.bought.append(bought)
        self.readings.append(self.provider.wallet()["available"])
        self.node.clock.advance(timedelta(minutes=5))

    def report(self) -> Report:
        """Close the books and reconcile."""
        database = self.node.services.database
        as_of = closed_instant(database, None, now=self.node.clock())
        with database.transaction() as tx:
            return build(tx, ReportQuery(report=ReportName.RECONCILE, as_of=as_of))

    def find_doubts(self) -> None:
        charged = self.provider.books()["tasks_per_key"]
        found = self.node.query("SELECT id::text, idempotency_key AS key FROM generation WHERE state = 'in_doubt'")
        self.doubtful = {each["id"]: each["key"] in charged for each in found}

    def decide(self) -> None:
        services = self.node.services
        for row in self.node.query("SELECT id, held FROM generation WHERE state = 'in_doubt'"):
            options: dict[str, Any] = {"new_id": services.new_id, "approve_above": None, "now": services.clock()}
            if self.doubtful[str(row["id"])]:
                resolve.charged(services.database, row["id"], row["held"], ANN, **options)
            else:
                resolve.not_charged(services.database, row["id"], ANN, **options)


@pytest.fixture(scope="module")
def run(postgres: str, template: str, process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield 400 images in eight phases; in each some answers are lost, and in three of them for good."""
    process.reset()
    provider = process.sibling("acct_wallet_run")
    with databases.clone(postgres, template) as url:
        node = nodes.make(
            url,
            tmp_path_factory.mktemp("store"),
            Clock(),
            base_url=provider.base_url,
            key=provider.key,
            window=timedelta(minutes=5),
        )
        made = Run(node=node, provider=provider)
        work(made)
        made.find_doubts()
        made.undecided = made.report()
        made.decide()
        made.decided = made.report()
        yield made
        node.services.client.close()
        node.services.database.close()


def work(run: Run) -> None:
    node, provider = run.node, run.provider
    read_wallet(node)
    node.clock.advance(timedelta(minutes=5))
    for phase in range(PHASES):
        node.submit(*({"key": f"{phase}-{n}", "prompt": f"Chair {phase} {n}"} for n in range(IMAGES // PHASES - 2)))
        provider.script(("create", 3, "lost_reply"), ("create", 9, "reset_before"), ("create", 17, "lost_reply"))
        provider.script(("create", 24, "fail_generation"), ("create", 31, "charge_failed"))
        node.run_for(timedelta(minutes=30))
        node.submit(*({"key": f"{phase}-last-{n}", "prompt": f"Lamp {phase} {n}"} for n in range(2)))
        if phase in LOST_IN:
            lose_answers(node, provider)
        node.run_for(timedelta(minutes=30))
        run.read(outside=SPENT_BY_OTHERS[phase], bought=TOP_UP if phase == TOPPED_UP_IN else 0)
    run.read(outside=provider.wallet()["available"] + 6)
    run.read(outside=3)
    run.read(bought=2_000)


def lose_answers(node: Node, sandbox: Provider) -> None:
    """Let two creates end in doubt: the provider has carried out one of them, and has never seen the other."""
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "reset_before"))
    node.run_for(timedelta(seconds=0.1))
    sandbox.set(faults={"create": {"http_503": 1.0}})
    node.run_for(timedelta(minutes=10))
    sandbox.set(faults={"create": {"http_503": 0.0}})


def accusations(report: Report, run: Run) -> list[str]:
    """Name every class that has more credits than really moved for its reason."""
    found = []
    for number, each in enumerate(rows(report, "intervals")):
        outside, bought = run.outside[number], run.bought[number]
        ours = each["unexpected"] + outside - bought
        attributed = each["timing"] + each["in_doubt"]
        if not -outside <= each["outside_spend"] <= 0:
            found.append(f"{number}: {each['outside_spend']} outside, and it was {-outside}")
        if not 0 <= each["top_up"] <= bought:
            found.append(f"{number}: topped up {each['top_up']}, and it was {bought}")
        if not min(ours, 0) <= attributed <= max(ours, 0):
            found.append(f"{number}: {attributed} ours, and it was {ours}")
        if each["expiry"] or each["unexplained"]:
            found.append(f"{number}: {each['expiry']} expired, {each['unexplained']} unexplained")
    return found


def test_the_run_has_all_that_it_is_about(run: Run) -> None:
    (jobs,) = run.node.query("SELECT count(*) AS number FROM job")

    assert jobs["number"] == IMAGES
    assert run.readings[-3:-1] == [-6, -9]
    assert sorted(run.doubtful.values()) == [False] * len(LOST_IN) + [True] * len(LOST_IN)
    assert len(rows(run.undecided, "intervals")) == len(run.outside)


def test_no_credit_is_blamed_on_anything_that_did_not_move_it(run: Run) -> None:
    assert accusations(run.undecided, run) == []


def test_every_charged_hold_is_a_candidate_where_the_wallet_is_ambiguous(run: Run) -> None:
    candidates = {str(row["generation_id"]) for row in rows(run.undecided, "candidates")}

    assert {each for each, is_charged in run.doubtful.items() if is_charged} <= candidates
    assert candidates <= set(run.doubtful)
    assert sum(row["ambiguous"] for row in rows(run.undecided, "intervals")) < 0


def test_what_persons_found_out_rightly_is_blamed_on_nothing_else_either(run: Run) -> None:
    assert accusations(run.decided, run) == []
    assert {str(row["generation_id"]) for row in rows(run.decided, "candidates")} <= {
        each for each, is_charged in run.doubtful.items() if is_charged
    }
