"""A year of weekly refreshes: items come, change and go, nodes are killed and race, and a ledger of our own is kept.

The year knows by itself what each item should look like and what is live, from what it did to them and from nothing
that Darkroom says. After every week it compares.
"""

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID

from tests.catalog.team import PRICE, Team, accept, reject
from tests.fixtures.provider import Provider
from tests.pipeline.hooked import Crash, Fuse
from tests.pipeline.node import Node
from worker.catalog import publishing, scheduling
from worker.catalog.queries import live
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.rules.decisions import Decision
from worker.catalog.rules.schedule import RUN_LEASE

NodeFor = Callable[..., Node]
WEEKS = 52
FAILING = {"create": {"fail_generation": 0.5}}
"""One image of eight fails three times, and is then given up until the next plan."""
WELL = {"create": {"fail_generation": 0.0}}
TICKS_FUSE, RENDER_FUSE = 14, 60
"""A node dies after at most so many effects."""


@dataclass(kw_only=True)
class Year:
    """The catalog, its team, its nodes, and what should be."""

    team: Team
    sandbox: Provider
    node_for: NodeFor
    items: int
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    wanted: dict[str, str] = field(default_factory=dict)
    """The prompt that each item should be rendered from."""
    shown: dict[str, str] = field(default_factory=dict)
    """The prompt that each live image was made from, also of items that were removed."""
    rejected: set[str] = field(default_factory=set)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each change was due to be rendered: once, and once more for each rejection."""
    deaths: int = 0
    failures: int = 0
    edits: dict[str, str] = field(default_factory=dict)
    """What reviewers wrote this week for the next try."""
    schedule_id: UUID = field(init=False)
    second: Node = field(init=False)
    _recipe_prompts: dict[str, str] = field(default_factory=dict)
    _colours: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def begin(self) -> None:
        """Import the catalog for the first time, and put it on a schedule."""
        self.sandbox.fund(100_000_000)
        self.second = self.node_for()
        for _ in range(self.items):
            self._add()
        self._import()
        self.schedule_id = self.team.schedule(cap=PRICE * self.items * 2)

    def pass_weeks(self, weeks: int = WEEKS) -> None:
        """Let the weeks pass, and look at the end of each whether all is as it should be."""
        for week in range(weeks):
            self._change_some()
            self._import()
            self._wait_for_the_fire_time(late=week % 9 == 8)
            self.sandbox.set(faults=FAILING if week % 4 == 3 else WELL)
            run = self._run(self._due())
            self._check_run(run)
            self._review()
            self.check_live()

    def _change_some(self) -> None:
        """One item in fifty is changed, one in a hundred removed, as many are added, and some come back."""
        share = max(1, self.items // 100)
        for sku in self.chance.sample(sorted(self._colours), 2 * share):
            self._colours[sku] = self._colour()
        for sku in self.chance.sample(sorted(self._colours), share):
            del self._colours[sku]
        for _ in range(share):
            self._add()
        gone = sorted(set(self.shown) - set(self._colours))
        for sku in gone[:1] if self.chance.random() < 0.3 else []:
            self._colours[sku] = self._colour()

    def _add(self) -> None:
        self._colours[f"sku-{next(self._numbers)}"] = self._colour()

    def _colour(self) -> str:
        return f"colour-{next(self._numbers)}"

    def _import(self) -> None:
        """A change of an item ends what a reviewer wrote for it."""
        self.team.stock(self._colours)
        fresh = {sku: f"A {colour} mug on a table" for sku, colour in self._colours.items()}
        kept = {sku: self.wanted[sku] for sku in fresh if self._recipe_prompts.get(sku) == fresh[sku]}
        self._recipe_prompts = fresh
        self.wanted = {**fresh, **kept}

    def _wait_for_the_fire_time(self, *, late: bool) -> None:
        """Move the clock to Monday 02:00 in Paris, or to two days after it when no node was alive."""
        self.team.clock.now += timedelta(days=7) - timedelta(seconds=self.team.clock.now.timestamp() % 86_400)
        self.team.clock.now += timedelta(days=-self.team.clock.now.weekday(), hours=1, minutes=1)
        self.team.wait(days=2 if late else 0)

    def _due(self) -> set[str]:
        """Return the items that a plan must render, and no others."""
        return {sku for sku, prompt in self.wanted.items() if sku in self.rejected or self.shown.get(sku) != prompt}

    def _run(self, due: set[str]) -> RunRow:
        """Have the run made by nodes that race and die, and its images by others of that kind."""
        before = len(self.team.runs(self.schedule_id))
        self._tick_until_it_is_made()
        run = self.team.runs(self.schedule_id)[-1]
        assert len(self.team.runs(self.schedule_id)) == before + 1, "one run for the fire time"
        assert self._asked_for(run) == due, "what has changed is rendered, and nothing else"
        self.asked.update((sku, self.wanted[sku]) for sku in due)
        self._render()
        self._tick_until_it_is_made()
        return self.team.runs(self.schedule_id)[-1]

    def _tick_until_it_is_made(self) -> None:
        """Two nodes look at once, and one may die of it; after the length of a lease two others look."""
        mortal = self.node_for(listener=Fuse(self.chance.randrange(TICKS_FUSE)))
        self._look_at_once(mortal, self.team.node)
        self._bury(mortal)
        self.team.clock.advance(RUN_LEASE)
        self._look_at_once(self.second, self.team.node)

    def _look_at_once(self, *nodes: Node) -> None:
        barrier = threading.Barrier(len(nodes))
        threads = [threading.Thread(target=self._look, args=(each, barrier)) for each in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _look(self, node: Node, barrier: threading.Barrier) -> None:
        barrier.wait()
        try:
            scheduling.tick(node.services, now=self.team.clock())
        except Crash:
            self.deaths += 1

    def _render(self) -> None:
        """One node works until it dies, another one does what is left."""
        first = self.node_for(listener=Fuse(self.chance.randrange(RENDER_FUSE)))
        self.deaths += first.run_until_crash() is not None
        self._bury(first)
        self.check_live()
        self.second.run_until_quiet()
        services = self.team.node.services
        publishing.sync_results(services.database, now=self.team.clock(), new_id=services.new_id)

    def _bury(self, node: Node) -> None:
        node.services.client.close()
        node.services.database.close()

    def _asked_for(self, run: RunRow) -> set[str]:
        keys = "SELECT key FROM job WHERE batch_id = :batch"
        return {row["key"] for row in self.team.node.query(keys, batch=run.batch_id)}

    def _check_run(self, run: RunRow) -> None:
        failed = self.team.node.query(
            "SELECT key FROM job WHERE batch_id = :batch AND state = 'failed'", batch=run.batch_id
        )
        self.failures += len(failed)
        # A change that came to nothing is due once more with the next plan.
        self.asked.subtract((row["key"], self.wanted[row["key"]]) for row in failed)
        assert run.state == "done", run
        assert run.spent == (run.price or 0) - PRICE * len(failed), "spend is the price less what failed"

    def _review(self) -> None:
        """One image in eight is rejected, half of those with other words for the next try."""
        found = self.team.candidates()
        disliked = {sku for sku in found if self.chance.random() < 1 / 8}
        decisions = accept(each for sku, each in found.items() if sku not in disliked)
        self.rejected -= set(found)
        for sku in sorted(disliked):
            decisions.append(self._rejection(sku))
        effect = self.team.decide(*decisions)
        assert effect.refused == ()
        self.shown |= {sku: self.wanted[sku] for sku in effect.accepted}
        self.rejected |= disliked
        self.wanted |= self.edits
        self.edits = {}

    def _rejection(self, sku: str) -> Decision:
        is_edited = self.chance.random() < 0.5
        if is_edited:
            self.edits[sku] = f"{self.wanted[sku]}, try {next(self._numbers)}"
        return reject(self.team.candidates()[sku], self.edits.get(sku))

    def check_live(self) -> None:
        """Assert that every item that ever had an image shows the one that was accepted last."""
        expected = {sku: prompt for sku, prompt in self.shown.items() if sku in self._colours}
        assert self.team.live() == expected

    def check_files(self) -> None:
        """Assert that every live image is in the store, with the bytes of its hash."""
        store = self.team.node.services.store
        for each in live.live_now(self.team.node.services.database, self.team.catalog.id):
            assert hashlib.sha256(store.read(each.path)).hexdigest() == each.sha256, each.sku

    def rendered(self) -> Counter[tuple[str, str]]:
        """Count the images that were made of each change."""
        rows = self.team.node.query("""
            SELECT j.key, j.prompt FROM job j JOIN catalog_render r ON r.job_id = j.id WHERE j.state = 'succeeded'""")
        return Counter((row["key"], row["prompt"]) for row in rows)
