"""The review of a catalog's new images: one large image at a time, decided by a key and saved at once."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute

from worker.catalog import decisions, planning, review
from worker.catalog.decisions import Effect
from worker.catalog.planning import Plan
from worker.catalog.queries import catalogs
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.review_queue import Place, Queue, Queued, Show
from worker.catalog.reviewing import ClaimedByAnother, DecidedMeanwhile, DecisionRefused, Session
from worker.catalog.rules.decisions import REASON_MAX, Decision, Verdict, reason_of
from worker.catalog.rules.refresh import content_of
from worker.contact_sheet.review import differing
from worker.core.rules.fault import UnfitError
from worker.web.console import page
from worker.web.console.fields import Fields
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.rules import cursor
from worker.web.rules.identity import Right

_PATH = "/catalogs/{name:path}/review"
TABS = (
    (Show.UNDECIDED, "Undecided"),
    (Show.ACCEPTED, "Accepted"),
    (Show.REJECTED, "Rejected"),
    (Show.ALL, "All"),
)
_DONE = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected"}


def routes() -> list[BaseRoute]:
    """Return the page, its live figures, and what it posts."""
    return [
        page.page(f"{_PATH}/tally", _tally),
        page.page(_PATH, show),
        page.form(f"{_PATH}/decide", _decide, Right.REVIEW),
        page.form(f"{_PATH}/undo", _undo, Right.REVIEW),
        page.form(f"{_PATH}/claim", _renew, Right.REVIEW),
        page.form(f"{_PATH}/apply", _apply, Right.REVIEW),
    ]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One reviewer's session on one catalog."""

    visit: Visit
    catalog: CatalogRow
    session: Session
    show: Show

    @property
    def may_decide(self) -> bool:
        """Whether the person may decide; others only read, and claim nothing."""
        return self.visit.who.may(Right.REVIEW)

    @property
    def path(self) -> str:
        """The address of the page below the address of the process."""
        return f"/catalogs/{quote(self.catalog.name)}/review"

    def address(self, **asked: object) -> str:
        """Return the address of the page with the same filter."""
        given = {"show": self.show, **asked}
        return f"{self.path}?{urlencode({name: str(value) for name, value in given.items()})}"

    def answer(self, image: Queued | None, *, said: str = "", wrong: str = "", status: int = 200) -> Response:
        """Show an image: the page, or what changes on it."""
        name = "catalog/review_part.html" if self.visit.is_fragment else "catalog/review.html"
        return self.visit.render(name, status=status, **self.tally(), **self._stage(image), said=said, wrong=wrong)

    def tally(self) -> dict[str, Any]:
        """Return what the live figures are made of."""
        with self.visit.context.database.transaction() as tx:
            tally, reviewers = self.session.queue.tally(tx), self.session.queue.reviewers(tx)
        others = [each for each in reviewers if each != self.visit.who.actor]
        return {"desk": self, "tabs": TABS, "tally": tally, "others": others}

    def _stage(self, image: Queued | None) -> dict[str, Any]:
        if image is None:
            return {"image": None, "following": None, "previous": None}
        with self.visit.context.database.transaction() as tx:
            following = self.session.peek(tx, image.place, self.show)
            previous = self.session.peek(tx, image.place, self.show, is_back=True)
        candidate = image.candidate
        before = candidate.live.parts["prompt"] if candidate.live else None
        return {
            "image": image,
            "following": None if following is None or following.place == image.place else following,
            "previous": previous,
            "place": _cursor(image.place),
            "words": differing(before, candidate.new.parts["prompt"]),
            "reasons": review.reasons(candidate),
            "hindrance": self._hindrance(image),
            "reason_max": REASON_MAX,
            "references_of": lambda each: content_of(each.candidate.new.parts).references,
        }

    def _hindrance(self, image: Queued) -> str | None:
        """Say why the image cannot be accepted; the store is not asked before the person does accept it."""
        candidate = image.candidate
        decision = Decision(sku=candidate.sku, render_id=candidate.render_id, verdict=Verdict.ACCEPT)
        context = self.visit.context
        return decisions.objection(context.database, None, self.catalog.id, decision, now=self.visit.now)


def desk_of(visit: Visit, asked: str = "") -> Desk:
    """Return the person's desk; raises Problem for a catalog or a filter that there is not."""
    name = visit.request.path_params["name"]
    with visit.context.database.transaction() as tx:
        catalog = None if "\0" in name else catalogs.by_name(tx, name)
    if catalog is None:
        raise Problem(404, "not_found", f"There is no catalog {name!r}.")
    try:
        wanted = Show(asked or Show.UNDECIDED)
    except ValueError:
        raise Problem(404, "not_found", f"There is no list of images that are {asked!r}.") from None
    queue = Queue(catalog_id=catalog.id, reviewer=visit.who.actor, now=visit.now)
    session = Session(database=visit.context.database, store=visit.context.store, queue=queue)
    return Desk(visit=visit, catalog=catalog, session=session, show=wanted)


def show(visit: Visit) -> Response:
    """Show the page at an image, at the one behind or ahead of a place, or where the person was."""
    desk = desk_of(visit, visit.asked("show"))
    session, claims = desk.session, desk.may_decide
    if text := visit.asked("image"):
        image_id = _image(text)
        image = session.open(image_id, is_claimed=claims)
        return desk.answer(image, wrong="" if image else _ended(desk, image_id))
    if text := visit.asked("after") or visit.asked("before"):
        place, is_back = _place(text), not visit.asked("after")
        return desk.answer(session.move(place, desk.show, is_back=is_back, is_claimed=claims))
    return desk.answer(session.begin(desk.show, is_claimed=claims))


def _tally(visit: Visit) -> Response:
    """Show the live figures alone; nothing is claimed by that."""
    return visit.render("catalog/review_tally.html", **desk_of(visit, visit.asked("show")).tally())


def _decide(visit: Visit, fields: Fields) -> Response:
    """Save a decision and go on to the next image; what cannot be saved is said at the image as it is now."""
    desk = desk_of(visit, fields.get("show", ""))
    image_id = _image(fields.get("image", ""))
    seen = _number(fields.get("seen", ""))
    try:
        image = desk.session.save(_decision(desk, image_id, fields), seen=seen)
    except (DecidedMeanwhile, ClaimedByAnother, DecisionRefused) as error:
        return desk.answer(desk.session.open(image_id), wrong=f"{error}.", status=409)
    except UnfitError as error:
        return desk.answer(desk.session.open(image_id), wrong=f"{error.reason}.", status=422)
    if image is None:
        raise Problem(404, "not_found", "This catalog has no such image.")
    if not visit.is_fragment:
        return page.redirect(visit.request, desk.address(after=_cursor(image.place)))
    said = f"{image.candidate.sku} {_DONE[Verdict(fields['verdict'])]}"
    return desk.answer(desk.session.move(image.place, desk.show), said=said)


def _decision(desk: Desk, image_id: UUID, fields: Fields) -> Decision:
    """Return the decision of a form; raises Problem, and UnfitError for a reason that is too long."""
    try:
        verdict = Verdict(fields.get("verdict", ""))
    except ValueError:
        raise Problem(400, "bad_request", "A decision is `accept` or `reject`.") from None
    with desk.visit.context.database.transaction() as tx:
        image = desk.session.queue.one(tx, image_id)
    is_rejected = verdict is Verdict.REJECT
    prompt = fields.get("prompt") or None
    is_as_before = image is not None and prompt == image.candidate.new.parts["prompt"].strip()
    return Decision(
        sku="" if image is None else image.candidate.sku,
        render_id=image_id,
        verdict=verdict,
        prompt=prompt if is_rejected and not is_as_before else None,
        reason=reason_of(fields.get("reason")) if is_rejected else None,
        said_at=desk.visit.now,
    )


def _undo(visit: Visit, fields: Fields) -> Response:
    """Take the person's last decision back and show its image."""
    desk = desk_of(visit, fields.get("show", ""))
    undone = desk.session.undo()
    if undone is None:
        current = fields.get("image", "")
        image = desk.session.open(_image(current)) if current else desk.session.begin(desk.show)
        return desk.answer(image, said="Nothing is left to undo")
    if not visit.is_fragment:
        return page.redirect(visit.request, desk.address(image=undone))
    image = desk.session.open(undone)
    return desk.answer(image, said=f"{image.candidate.sku} undone" if image else "Undone")


def _renew(visit: Visit, fields: Fields) -> Response:
    """Keep the image for the person; 409 when another one has it, or it is not as it is shown."""
    desk = desk_of(visit)
    is_kept = desk.session.renew(_image(fields.get("image", "")), seen=_number(fields.get("seen", "")))
    return Response(status_code=204 if is_kept else 409)


def _apply(visit: Visit, fields: Fields) -> Response:
    """Apply every saved decision of the catalog, and show the outcome."""
    desk = desk_of(visit, fields.get("show", ""))
    return applied(desk, desk.session.apply(visit.context.new_id))


def applied(desk: Desk, effect: Effect) -> Response:
    """Show the outcome of applied decisions, with a plan of the rejected images for those who may submit it."""
    visit = desk.visit
    made, unfit = _again(desk, effect) if effect.rejected and visit.who.may(Right.SUBMIT) else (None, "")
    return visit.render("catalog/review_applied.html", effect=effect, plan=made, unfit=unfit, **desk.tally())


def _again(desk: Desk, effect: Effect) -> tuple[Plan | None, str]:
    """Save a plan of the rejected alone, as `darkroom catalog decide` does; or say why they cannot be rendered."""
    context = desk.visit.context
    by = context.author(desk.visit.who)
    try:
        with context.database.bulk_transaction() as tx:
            made = planning.make(
                tx,
                catalogs.by_id(tx, desk.catalog.id),
                plan_id=by.new_id(),
                by=by.actor,
                now=by.now,
                only=effect.rejected,
                approve_above=context.settings.approve_above,
            )
            planning.save(tx, made)
    except planning.PlanFaulty as error:
        return None, str(error)
    return made, ""


def _ended(desk: Desk, image_id: UUID) -> str:
    """Return the outcome of an image that waits no longer; raises Problem for one that there is not."""
    with desk.visit.context.database.transaction() as tx:
        ended = desk.session.queue.ended(tx, image_id)
    if ended is None:
        raise Problem(404, "not_found", "This catalog has no such image.")
    return f"This image waits no longer: {ended[0]} {ended[1]}."


def _cursor(place: Place) -> str:
    return cursor.encode(place.position, place.sku)


def _place(text: str) -> Place:
    try:
        position, sku = cursor.decode(text, parts=2)
        found = Place(position=int(position), sku=sku)
    except ValueError:
        raise _no_place() from None
    if not -1 <= found.position < 2**62 or "\0" in sku:
        raise _no_place()
    return found


def _no_place() -> Problem:
    return Problem(404, "not_found", "This place of the list is not known: begin at its first image.")


def _image(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Problem(404, "not_found", "This catalog has no such image.") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 18):  # noqa: PLR2004 - fits a bigint
        raise Problem(400, "bad_request", "`seen` is the number of the decision that was shown, 0: none.")
    return int(text)
