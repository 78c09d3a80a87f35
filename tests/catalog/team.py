"""A catalog team on one worker node: real database, store and provider, a clock that is moved by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.pipeline.node import Clock, Node
from worker.catalog import applying, approving, decisions, importing, planning, publishing, scheduling
from worker.catalog.applying import Applied, PlanStale
from worker.catalog.decisions import Effect
from worker.catalog.importing import Import
from worker.catalog.items import Item
from worker.catalog.planning import Plan
from worker.catalog.queries import catalogs, review, schedule_runs, schedules
from worker.catalog.queries import live as queries_live
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.review import Candidate
from worker.catalog.queries.schedule_runs import RunRow
from worker.catalog.rules.decisions import Decision, Verdict
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy
from worker.core.db.changes import Author

PRICE = 4
"""Credits of one image."""
NAME = "mugs"
RECIPE = {"prompt": "A {{ colour }} mug on a table", "review": "none", "params": {"image_size": "square"}}
THREE = {"a": "red", "b": "blue", "c": "grey"}
MONDAY = datetime(2020, 11, 23, 1, 0, tzinfo=UTC)
"""The first fire time after the clock's start: 02:00 in Paris."""
WEEK = timedelta(weeks=1)


@dataclass(kw_only=True)
class Team:
    """What a catalog team does, and the questions that a test asks."""

    node: Node
    recipe: Mapping[str, Any]

    @property
    def clock(self) -> Clock:
        return self.node.clock

    @property
    def catalog(self) -> CatalogRow:
        with self.node.services.database.transaction() as tx:
            found = catalogs.by_name(tx, NAME)
        assert found is not None
        return found

    def stock(self, colours: Mapping[str, str]) -> Import:
        """Import these items: a colour for each SKU."""
        items = [
            Item(sku=sku, fields={"sku": sku, "colour": colour}, references=(), line=line)
            for line, (sku, colour) in enumerate(colours.items(), start=1)
        ]
        services = self.node.services
        return importing.import_items(
            services.database,
            NAME,
            importing.checked_recipe(self.recipe, "recipe"),
            items,
            (),
            now=self.clock(),
            new_id=services.new_id,
            may_remove_many=True,
        )

    def plan(self, **wishes: Any) -> Plan:
        """Make a plan and save it."""
        services = self.node.services
        with services.database.transaction() as tx:
            found = catalogs.by_name(tx, NAME)
            assert found is not None
            made = planning.make(
                tx, found, plan_id=services.new_id(), by="planner", now=self.clock(), approve_above=None, **wishes
            )
            planning.save(tx, made)
        return made

    def planned(self) -> dict[str, list[str]]:
        """Say which items a plan would render now, and why."""
        return {each.sku: [str(reason) for reason in each.reasons] for each in self.plan().outline.renders}

    def refresh(self, **wishes: Any) -> Applied:
        """Plan, apply, render to the end, and take the images in."""
        applied = self.apply(self.plan(**wishes).id)
        self.render()
        return applied

    def apply(self, plan_id: UUID) -> Applied:
        """Make a plan's images jobs."""
        services = self.node.services
        return applying.apply(
            services.database, plan_id, account_id=services.account_id, now=self.clock(), new_id=services.new_id
        )

    def refusal(self, plan_id: UUID) -> tuple[str, ...]:
        """Say what has changed since the plan was made, which applying it refuses with."""
        with pytest.raises(PlanStale) as caught:
            self.apply(plan_id)
        return caught.value.differences

    def approve(self, plan_id: UUID | None, by: str = "ada") -> None:
        """Agree to a plan."""
        assert plan_id is not None
        approving.approve(self.node.services.database, plan_id, by=by, now=self.clock())

    def render(self) -> None:
        """Let the node work until nothing is left to do, and take the images in."""
        self.node.run_until_quiet()
        publishing.sync_results(self.node.services.database, now=self.clock(), new_id=self.node.services.new_id)

    def candidates(self) -> dict[str, Candidate]:
        """Return the images that wait for a decision, by SKU."""
        return {each.sku: each for each in review.candidates(self.node.services.database, self.catalog.id)}

    def decide(self, *made: Decision, by: str = "rita") -> Effect:
        """Let decisions take effect."""
        services = self.node.services
        return decisions.decide(
            services.database, services.store, self.catalog.id, made, by=by, now=self.clock(), new_id=services.new_id
        )

    def lose(self, path: str) -> None:
        """Have the store lose an image."""
        Path(self.node.services.store.location(path)).unlink()

    def live(self) -> dict[str, str]:
        """Return the prompt that each live image was made from, by SKU."""
        rows = self.node.query("""
            SELECT i.sku, r.parts ->> 'prompt' AS prompt FROM catalog_item i
            JOIN catalog_render r ON r.id = i.live_render_id AND r.state = 'live' WHERE i.removed_at IS NULL""")
        return {row["sku"]: row["prompt"] for row in rows}

    def live_renders(self) -> dict[str, UUID]:
        """Return the id of each live image, by SKU."""
        found = queries_live.live_now(self.node.services.database, self.catalog.id)
        return {each.sku: each.render_id for each in found}

    def spent(self) -> int:
        """Return the credits that all batches have spent."""
        rows = self.node.query("SELECT coalesce(sum(credits), 0)::int AS n FROM credit_entry WHERE target = 'spent'")
        return int(rows[0]["n"])

    def schedule(
        self,
        cron: str = "0 2 * * 1",
        *,
        tz: str = "Europe/Paris",
        cap: int = 2_000,
        overlap: OverlapPolicy = OverlapPolicy.SKIP,
        missed: MissedPolicy = MissedPolicy.RUN_ONCE,
    ) -> UUID:
        """Add a schedule of this catalog."""
        schedule_id = self.node.services.new_id()
        values = {
            "id": schedule_id,
            "name": f"weekly {schedule_id}",
            "catalog_id": self.catalog.id,
            "cron": cron,
            "tz": tz,
            "credit_cap": cap,
            "overlap": overlap,
            "missed": missed,
            "now": self.clock(),
            "created_by": "sam",
            "account_id": self.node.services.account_id,
        }
        with self.node.services.database.transaction() as tx:
            schedules.add(tx, values)
        return schedule_id

    def tick(self, node: Node | None = None) -> scheduling.Tick:
        """Let a node look after the schedules now."""
        return scheduling.tick((node or self.node).services, now=self.clock())

    def run_now(self, schedule_id: UUID) -> UUID:
        """Ask for a run beside the fire times."""
        services = self.node.services
        return scheduling.run_now(services.database, schedule_id, by="sam", now=self.clock(), new_id=services.new_id)

    def pause(self, schedule_id: UUID) -> None:
        """Let a schedule rest."""
        with self.node.services.database.transaction() as tx:
            schedules.pause(tx, schedule_id, now=self.clock())

    def resume(self, schedule_id: UUID) -> None:
        """Let it count again."""
        with self.node.services.database.transaction() as tx:
            schedules.resume(tx, schedule_id, now=self.clock())

    def remove(self, schedule_id: UUID) -> None:
        """Take a schedule away."""
        by = Author(actor="sam", reason=None, now=self.clock(), new_id=self.node.services.new_id)
        approving.remove(self.node.services.database, schedule_id, by)

    def runs(self, schedule_id: UUID) -> Sequence[RunRow]:
        """Return the runs of a schedule, oldest first."""
        with self.node.services.database.transaction() as tx:
            return schedule_runs.of(tx, schedule_id, limit=1_000)[::-1]

    def states(self, schedule_id: UUID) -> list[str]:
        """Return the states of the runs of a schedule, oldest first."""
        return [each.state.value for each in self.runs(schedule_id)]

    def wait(self, **span: float) -> None:
        """Move the clock."""
        self.clock.advance(timedelta(**span))


def at_work(team: Team) -> Team:
    """Have a catalog of three items, none of them rendered yet."""
    team.stock(THREE)
    return team


def accept(candidates: Iterable[Candidate]) -> list[Decision]:
    """Return decisions that accept all of them."""
    return [Decision(sku=c.sku, render_id=c.render_id, verdict=Verdict.ACCEPT) for c in candidates]


def reject(candidate: Candidate, prompt: str | None = None) -> Decision:
    """Return a decision that rejects it."""
    return Decision(sku=candidate.sku, render_id=candidate.render_id, verdict=Verdict.REJECT, prompt=prompt)
