"""What holds after everything, whatever went wrong on the way: rows, ledger, images and the provider's books agree."""

import hashlib
from io import BytesIO

from PIL import Image

from tests.acceptance.world import ENDED, World
from worker.audit.verify import verify
from worker.core.rules.models_catalogue import PIXELS

MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg"}

GENERATIONS = "SELECT idempotency_key, provider_id, state, reserved, final FROM generation"

BALANCES = """
    SELECT account, sum(credits)::int AS credits FROM (
        SELECT target AS account, credits FROM credit_entry
        UNION ALL SELECT source, -credits FROM credit_entry) moved GROUP BY account"""

RESULTS = """
    SELECT j.key, j.params, r.path, r.sha256, r.size_bytes, r.mime_type, r.width, r.height
    FROM result r JOIN job j ON j.id = r.job_id"""


def check(world: World) -> None:
    """Assert all of it, for a Darkroom in which every job has ended and none is in doubt."""
    check_jobs(world)
    check_generations(world)
    check_ledger(world)
    check_images(world)
    check_proofs(world)


FAILED_BY_US = """
    state = 'failed' AND NOT EXISTS (SELECT FROM generation g WHERE g.job_id = job.id AND g.state = 'failed')"""


def check_jobs(world: World) -> None:
    """Assert that no row was lost, that each job has ended for good, and that none failed but at the provider."""
    states = {row["state"] for row in world.query("SELECT DISTINCT state FROM job")}
    sizes = world.query("SELECT size, (SELECT count(*) FROM job WHERE batch_id = batch.id) AS jobs FROM batch")

    assert states <= set(ENDED) - {"in_doubt"}
    assert [row["size"] for row in sizes] == [row["jobs"] for row in sizes]
    assert world.count("step") == 0
    assert world.count("job", FAILED_BY_US) == 0


def check_generations(world: World) -> None:
    """Assert that each generation is one task at the provider, with the same end and the same credits there."""
    books = world.provider.books()
    ours = {row["idempotency_key"]: row for row in world.query(GENERATIONS) if row["provider_id"]}
    theirs = {task["key"]: task for task in books["task_list"]}

    assert books["keys"]["with_several"] == {}
    assert books["keys"]["tasks_without_key"] == 0
    strange = _unknown(world, ours.keys() ^ theirs.keys())
    assert not strange, strange
    shown, known = _figures(ours, "provider_id", "state"), _figures(theirs, "id", "status")
    assert shown == known, [(key, shown[key], known[key]) for key in shown if shown[key] != known[key]]
    assert _figures(ours, "final") == _figures(theirs, "final")


def _unknown(world: World, keys: set[str]) -> list[dict[str, object]]:
    """Return our rows of generations that only one side knows as a task."""
    return world.query(
        "SELECT g.*, j.state AS job_state FROM generation g JOIN job j ON j.id = g.job_id"
        " WHERE idempotency_key = ANY(:keys)",
        keys=list(keys),
    )


def _figures(rows: dict[str, dict[str, object]], *names: str) -> dict[str, tuple[object, ...]]:
    return {key: tuple(row[name] for name in names) for key, row in rows.items()}


def check_ledger(world: World) -> None:
    """Assert that what was spent is what the provider charged, to the credit, and that nothing is left over."""
    balances = {row["account"]: row["credits"] for row in world.query(BALANCES)}
    wallet = world.provider.wallet()

    assert balances.get("spent", 0) == wallet["charged"]
    assert balances.get("held", 0) == 0
    assert balances.get("reserved", 0) == wallet["reserved"] == 0
    assert sum(balances.values()) == 0


def check_images(world: World) -> None:
    """Assert that each job that succeeded, and no other, has an image of the size and format that it asked for."""
    rows = world.query(RESULTS)
    stored = {str(path.relative_to(world.images)) for path in world.images.glob("*-*/*")}

    assert len(rows) == world.count("job", "state = 'succeeded'")
    assert {row["path"] for row in rows} == stored
    assert [_promised(row["params"]) for row in rows] == [_found(world.store.read(row["path"])) for row in rows]
    assert [row["sha256"] for row in rows] == [_sha256(world.store.read(row["path"])) for row in rows]


def _promised(params: dict[str, str]) -> tuple[tuple[int, int], str]:
    return PIXELS[params["image_size"]], MIME_TYPES[params["output_format"]]


def _found(content: bytes) -> tuple[tuple[int, int], str]:
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image.size, image.get_format_mimetype() or ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_proofs(world: World) -> None:
    """Assert that Darkroom's own proofs hold."""
    with world.database.engine.connect() as tx:
        found = verify(tx)
    assert [check for check in found.checks if not check.ok] == []
