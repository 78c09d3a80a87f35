"""Every model of the registry, and one that is not in it, from the request to the image in the provider's own books."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures import models, pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.batches import control
from worker.core.rules.models_catalogue import MODELS, REGISTRY, SelectParam
from worker.core.rules.states import StepKind
from worker.engine import dispatch
from worker.engine.queries import steps
from worker.engine.queries.steps import Claim


@pytest.fixture
def made_up(sandbox: Provider) -> Iterator[None]:
    with models.made_up(sandbox):
        yield


def pictures_of(node: Node, count: int) -> list[str]:
    """Write so many different references and return their hashes."""
    return [pictures.reference(node.folder, f"{n}.png", shade=1000 + n) for n in range(count)]


def sent(node: Node) -> list[dict[str, Any]]:
    """Return the bodies that were sent, in the order of the lines."""
    rows = node.query("SELECT g.body FROM generation g JOIN job j ON j.id = g.job_id ORDER BY j.line, g.number")
    return [json.loads(row["body"]) for row in rows]


@pytest.mark.parametrize(
    ("model", "given", "params"),
    [
        ("qwen-image", {}, {"image_size": "square_hd", "output_format": "png"}),
        ("z-image", {"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}),
        (
            "qwen2-image",
            {"seed": "42", "nsfw_checker": True},
            {"image_size": "16:9", "output_format": "png", "seed": 42, "nsfw_checker": "true"},
        ),
        ("qwen2-image", {}, {"image_size": "16:9", "output_format": "png", "nsfw_checker": "false"}),
        ("nano-banana", {"imageSize": "3:2"}, {"imageSize": "3:2", "output_format": "png"}),
        (
            "nano-banana-2",
            {"google_search": False, "output_format": ""},
            {"aspect_ratio": "auto", "resolution": "1K", "output_format": "jpg", "google_search": "false"},
        ),
        (
            "nano-banana-pro",
            {"output_format": "jpg", "resolution": "2K"},
            {"aspect_ratio": "1:1", "resolution": "2K", "output_format": "jpg"},
        ),
        ("made-up", {"paintStyle": "ink", "strength": 0.5}, {"paintStyle": "ink", "steps": 20, "strength": 0.5}),
    ],
)
@pytest.mark.usefixtures("made_up")
def test_a_job_of_each_model_is_sent_with_its_own_params_and_paid_at_its_own_price(
    model: str, given: Mapping[str, object], params: Mapping[str, object], node: Node, sandbox: Provider
) -> None:
    hashes = pictures_of(node, MODELS[model].max_references)
    node.submit({"prompt": "A chair", "model": model, "reference": [f"{n}.png" for n in range(len(hashes))], **given})

    node.run_until_quiet()

    [body] = sent(node)
    media = body["params"].pop("referenceMediaItems", [])
    assert (body["model"], body["params"]) == (model, params)
    assert [item["name"] for item in media] == [f"{n}.png" for n in range(len(hashes))]
    assert sandbox.books()["uploads"]["by_sha256"].keys() >= set(hashes)
    assert node.jobs() == ["succeeded"]
    price = MODELS[model].credits
    assert node.entries() == [("hold", price), ("reserve", price), ("settle", price)]
    books.check_all_done(node, sandbox)


@pytest.mark.usefixtures("made_up")
def test_a_lost_answer_of_a_model_with_other_params_is_asked_for_with_the_first_bytes_although_its_defaults_changed(
    node: Node, sandbox: Provider
) -> None:
    """A body that was built again from the registry would be another one, and no replay under its key."""
    hashes = pictures_of(node, 3)
    sandbox.set(idempotency_compare="raw")
    sandbox.script(("create", 1, "lost_reply"))
    references, replays = [f"{n}.png" for n in range(len(hashes))], sandbox.books()["replays"]
    node.submit({"prompt": "A chair", "model": "made-up", "reference": references, "paintStyle": "ink"})
    while not sandbox.tasks():
        node.run_for(timedelta(seconds=0.2))
    [first] = node.query("SELECT body FROM generation")
    other = SelectParam(name="paintStyle", default="oil", choices=("oil", "ink"))
    REGISTRY["made-up"] = replace(models.MADE_UP, params=(other,))

    node.run_until_quiet()

    assert json.loads(first["body"])["params"].keys() >= {"paintStyle", "steps", "referenceMediaItems"}
    assert node.query("SELECT body, sends FROM generation") == [{"body": first["body"], "sends": 2}]
    assert (len(sandbox.tasks()), sandbox.books()["replays"] - replays) == (1, 1)
    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 7), ("reserve", 7), ("settle", 7)]
    books.check_all_done(node, sandbox)


def test_jobs_with_several_references_name_them_in_their_order_and_share_their_uploads(
    node: Node, sandbox: Provider
) -> None:
    hashes = pictures_of(node, 4)
    before = sandbox.books()["uploads"]["by_sha256"]
    node.submit(
        {"prompt": "list", "model": "nano-banana", "reference": ["0.png", "1.png", "2.png"]},
        {"prompt": "columns", "model": "nano-banana", "reference": "2.png", "reference_2": "0.png"},
        {"prompt": "one", "model": "qwen-image", "reference": "0.png"},
        {"prompt": "twice", "model": "nano-banana", "reference": ["3.png", "3.png"]},
    )

    node.run_until_quiet()

    names = [[item["name"] for item in body["params"]["referenceMediaItems"]] for body in sent(node)]
    assert names == [["0.png", "1.png", "2.png"], ["2.png", "0.png"], ["0.png"], ["3.png", "3.png"]]
    after = sandbox.books()["uploads"]["by_sha256"]
    assert [after[sha256] - before.get(sha256, 0) for sha256 in hashes] == [1, 1, 1, 1]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("fault", ["http_503", "lost_reply", "throttle"])
def test_a_broken_upload_of_one_of_several_references_is_made_again(fault: str, node: Node, sandbox: Provider) -> None:
    pictures_of(node, 3)
    node.submit({"prompt": "A chair", "model": "nano-banana", "reference": ["0.png", "1.png", "2.png"]})
    sandbox.script(("upload", 2, fault))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_of_several_references_one_that_is_too_old_is_uploaded_again_before_the_create(
    node: Node, sandbox: Provider
) -> None:
    hashes = pictures_of(node, 3)
    before = sandbox.books()["uploads"]["by_sha256"]
    node.submit({"prompt": "1", "model": "nano-banana", "reference": ["0.png", "1.png"]})
    node.run_until_quiet()
    node.clock.advance(timedelta(hours=7))
    sandbox.set(upload_ttl_s=3600)
    sandbox.advance(7 * 3600)
    node.submit({"prompt": "2", "model": "nano-banana", "reference": ["2.png", "0.png", "1.png"]})

    node.run_until_quiet()

    after = sandbox.books()["uploads"]["by_sha256"]
    assert node.jobs() == ["succeeded"] * 2
    assert [after[sha256] - before.get(sha256, 0) for sha256 in hashes] == [2, 2, 1]


def test_a_reference_that_the_store_has_lost_fails_a_job_with_several_and_frees_the_hold(
    node: Node, sandbox: Provider
) -> None:
    hashes = pictures_of(node, 2)
    node.submit({"prompt": "A chair", "model": "nano-banana", "reference": ["0.png", "1.png"]})
    (node.folder / "references" / hashes[1]).unlink()

    node.run_until_quiet()

    assert (node.jobs(), node.failures()) == (["failed"], ["reference_missing"])
    assert node.entries() == [("hold", 3), ("void", 3)]
    books.check_all_done(node, sandbox)


def test_a_cap_is_not_overrun_by_one_dear_job_behind_a_cheap_one(node: Node, sandbox: Provider) -> None:
    """How many jobs may begin is counted with the price of the first; what each holds is summed in line order."""
    node.submit(
        {"prompt": "cheap", "model": "z-image"},
        {"prompt": "dear", "model": "nano-banana-pro"},
        {"prompt": "dear too", "model": "nano-banana-pro"},
        credit_cap=10,
    )

    dispatch.run(node.services)

    assert node.query("SELECT committed FROM batch") == [{"committed": 9}]
    node.run_until_quiet()
    assert node.jobs() == ["succeeded", "succeeded", "pending"]
    books.check(node, sandbox)


def test_a_batch_of_all_models_under_one_cap_is_exact_to_the_credit(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(*({"prompt": model, "model": model} for model in MODELS), credit_cap=27)

    node.run_until_quiet()

    assert receipt.credits == 27
    assert node.jobs() == ["succeeded"] * len(MODELS)
    assert books.balance(node, "spent") == 27
    books.check_all_done(node, sandbox)


def test_a_claim_knows_the_uploads_of_all_references_of_its_job(node: Node) -> None:
    hashes = pictures_of(node, 2)
    node.submit({"prompt": "A chair", "model": "nano-banana", "reference": ["0.png", "1.png"]})
    node.round()
    node.round()
    [ticket] = dispatch.run(node.services).tickets

    with node.services.database.transaction() as tx:
        wanted = [Claim(ticket=ticket, until=node.clock() + timedelta(seconds=45))]
        [work] = steps.claim(tx, wanted, account_id=node.services.account_id)

    assert work is not None
    assert work.kind is StepKind.SUBMIT
    fresh_after = node.clock() - timedelta(hours=6)
    assert [(each.sha256, each.is_uploaded(fresh_after=fresh_after)) for each in work.references] == [
        (hashes[0], True),
        (hashes[1], True),
    ]


def test_a_failed_job_with_several_references_is_retried_with_all_of_them(node: Node, sandbox: Provider) -> None:
    pictures_of(node, 2)
    receipt = node.submit({"prompt": "A chair", "model": "nano-banana", "reference": ["0.png", "1.png"]})
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()

    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    node.run_until_quiet()

    assert [len(body["params"]["referenceMediaItems"]) for body in sent(node)] == [2, 2]
    assert node.jobs() == ["succeeded"]
