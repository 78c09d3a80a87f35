"""A plan: what happens to every item of a catalog, what it costs, and a hash that binds it to the content."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from worker.catalog.rules.catalog import Keep
from worker.catalog.rules.refresh import Decision
from worker.core.rules.models_catalogue import MODELS

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Above which a plan needs approval; None: never."""

    credits: int | None = None
    share: float | None = None
    """Of the catalog's items, from 0 to 1."""

    def lowered(self, credits_: int | None) -> "Thresholds":
        """Return these thresholds with the lower one in credits."""
        known = [each for each in (self.credits, credits_) if each is not None]
        return replace(self, credits=min(known, default=None))

    def are_passed(self, *, price: int, renders: int, items: int) -> bool:
        """Whether a plan of this size needs an approval."""
        is_dear = self.credits is not None and price > self.credits
        return is_dear or (self.share is not None and renders > self.share * items)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """The decisions of a plan, in the items' order, and their sums."""

    decisions: Sequence[Decision]
    content_hash: str
    price: int
    """Credits for one generation of each item to render."""

    @property
    def renders(self) -> list[Decision]:
        """The renders, in the items' order."""
        return [each for each in self.decisions if each.is_render]

    @property
    def keeps(self) -> dict[str, list[str]]:
        """The SKUs of kept items, by reason, in the items' order."""
        found: dict[str, list[str]] = {}
        for each in self.decisions:
            if each.keep:
                found.setdefault(str(each.keep), []).append(each.sku)
        return found

    @property
    def wanted(self) -> list[Decision]:
        """What would be rendered without a cap."""
        return [each for each in self.decisions if each.is_render or each.keep is Keep.CAPPED]

    @property
    def counts(self) -> dict[str, int]:
        """How many items each reason holds for; an item with two reasons is counted with both."""
        found = Counter(str(reason) for each in self.renders for reason in each.reasons)
        found.update(str(each.keep) for each in self.decisions if each.keep)
        return dict(sorted(found.items()))


def outline(decisions: Iterable[Decision], *, credit_cap: int | None, conditions: Mapping[str, object]) -> Outline:
    """Build a plan; renders beyond the cap are left for the next one.

    ``conditions`` is whatever else the plan must not outlive: the recipe, its options.
    """
    kept = _within(decisions, credit_cap)
    return Outline(
        decisions=kept,
        content_hash=_content_hash(kept, {**conditions, "credit_cap": credit_cap}),
        price=sum(price_of(each) for each in kept if each.is_render),
    )


def price_of(decision: Decision) -> int:
    """Return the credits of one generation of the item."""
    return MODELS[decision.wanted.model].credits


def differences(then: Mapping[str, str | None], now: Sequence[Decision], *, most: int = 20) -> list[str]:
    """Return the differences from a plan; ``then`` has each SKU, with its fingerprint where it was rendered."""
    wanted = {each.sku: each for each in now}
    return list(islice((*_gone(then, wanted), *_added(then, now)), most))


def _gone(then: Mapping[str, str | None], wanted: Mapping[str, Decision]) -> Iterable[str]:
    for sku, fingerprint in then.items():
        found = wanted.get(sku)
        if found is None:
            yield f"{sku}: is no longer in the catalog"
        elif fingerprint is not None and found.fingerprint != fingerprint:
            yield f"{sku}: its content is another one now"
        elif fingerprint is not None and found.keep:
            yield f"{sku}: is {found.keep} now"


def _added(then: Mapping[str, str | None], now: Sequence[Decision]) -> Iterable[str]:
    for each in now:
        if each.is_render and then.get(each.sku) is None:
            yield f"{each.sku}: would be rendered now ({', '.join(each.reasons)})"
        elif each.sku not in then:
            yield f"{each.sku}: is in the catalog now"


def _within(decisions: Iterable[Decision], credit_cap: int | None) -> list[Decision]:
    """Keep what the cap does not reach, from the first that does not fit on."""
    if credit_cap is None:
        return list(decisions)
    found, left = [], credit_cap
    for each in decisions:
        if each.is_render:
            left -= price_of(each)
        found.append(replace(each, keep=Keep.CAPPED) if each.is_render and left < 0 else each)
    return found


def _content_hash(decisions: Iterable[Decision], conditions: Mapping[str, object]) -> str:
    """Bind what is rendered with its content and its reasons; of what is kept, only that it is.

    A kept item goes from "being rendered" to "unchanged" by itself: nothing that a plan would do is another for it.
    """
    digest = hashlib.sha256(_CANONICAL.encode(conditions).encode())
    for each in decisions:
        what = ("render", each.fingerprint, *each.reasons) if each.is_render else ("keep",)
        # No SKU holds a line break or any other control character.
        digest.update("\n".join(("", each.sku, *what)).encode())
    return digest.hexdigest()
