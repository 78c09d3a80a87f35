"""The words of a catalog: what may become of an image, why an item is rendered or kept, who has to look."""

from enum import StrEnum


class ReviewPolicy(StrEnum):
    """Whether a new image waits for a person."""

    NONE = "none"
    """It goes live as soon as it is there."""
    REQUIRED = "required"
    """It waits as a candidate."""


class RenderState(StrEnum):
    """Where an image of an item stands."""

    PLANNED = "planned"
    """Its job is under way."""
    CANDIDATE = "candidate"
    """It is there and waits for a decision."""
    LIVE = "live"
    """It is the item's image."""
    REJECTED = "rejected"
    """A person did not want it."""
    SUPERSEDED = "superseded"
    """Another one took its place, or what it was made from is no longer wanted."""
    FAILED = "failed"
    """Its job ended without an image."""


class Reason(StrEnum):
    """Why an item is rendered; an item may have several."""

    NEW = "new"
    """It has no image yet."""
    PROMPT = "prompt changed"
    """The recipe or the item's fields give another prompt."""
    REFERENCE = "reference changed"
    """The reference image has other bytes, or is new, or gone."""
    PARAMS = "params changed"
    """The recipe names other parameters."""
    MODEL = "model changed"
    """The recipe names another model."""
    AGE = "too old"
    """Its image is older than the recipe or the planner permits."""
    REJECTED = "rejected"
    """A person rejected the last image."""
    FAILED = "failed before"
    """The last try ended without an image."""
    FORCED = "forced"
    """The planner named it."""


class Keep(StrEnum):
    """Why an item is not rendered."""

    UNCHANGED = "unchanged"
    """What is live is what is wanted."""
    RENDERING = "being rendered"
    """What is wanted is on its way."""
    IN_REVIEW = "waits for review"
    """What is wanted waits as a candidate."""
    ROLLED_BACK = "rolled back"
    """A person brought an older image back, and nothing has changed since."""
    CAPPED = "left for the next plan"
    """It would be rendered, and the credit cap does not reach that far."""
    NOT_ASKED = "not in this plan"
    """It would be rendered, and the plan is about other items only."""
    GIVEN_UP = "failed 3 times in a row: force it"
    """Plan after plan has asked for the same content in vain; an import that changes it ends that too."""


class ExportForm(StrEnum):
    """How an export is written."""

    CSV = "csv"
    """A header and one row for each SKU."""
    JSON = "json"
    """One list with an object for each SKU."""
