"""How much of their limits several accounts use: a batch for each, one batch over all, and one account that hangs."""

import time
from dataclasses import dataclass

from ops.bench import ground, node
from ops.bench.findings import Finding
from ops.bench.ground import Ground, Sandbox
from ops.sandbox.choices import RateAlgorithm

RATE, WINDOW_S = 5, 10.0
COUNTS, QUICK_COUNTS = (1, 2, 3), (2,)
LATENCY_S = 3.0
WARM_UP_S, MEASURED_S, QUICK_MEASURED_S = 15.0, 40.0, 20.0
HANGS_S = 35.0
"""A create of the hanging account takes so long: shorter than a call may, so that nothing pauses the account."""
_PACED = ("create", "get", "upload", "credits")


@dataclass(frozen=True, kw_only=True)
class Use:
    """What came of so many accounts at once."""

    accounts: int
    has_hanging: bool
    is_one_batch: bool
    """Whether one batch over the pool of the accounts has all jobs; else each account has a batch of its own."""
    share: float
    """Requests that were answered, by what all limits together would have permitted."""
    refused: int
    images_per_second: float


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - one signature for all benchmarks
    """Measure one node with one account, two and three, one batch over these, and a further one that hangs."""
    counts, measured_s = (QUICK_COUNTS, QUICK_MEASURED_S) if is_quick else (COUNTS, MEASURED_S)
    last = counts[-1]
    cases = [*((count, False, False) for count in counts), (last, False, True), (last - 1, True, False)]
    uses = [_measured(place, number, *case, measured_s) for number, case in enumerate(cases)]
    return Finding(
        name="accounts",
        title="One fleet, many accounts",
        method=(
            f"One node, k accounts with a key and a limit R of {RATE} requests per second each, counted in fixed"
            f" windows of {WINDOW_S:g} s; median latency {LATENCY_S:g} s; measured for {measured_s:g} s after"
            f" {WARM_UP_S:g} s. *Hanging*: a further account whose provider takes {HANGS_S:g} s for each create."
            " *One batch*: all jobs are those of one batch over the pool of the accounts, else each has its own."
        ),
        columns=("k", "hanging", "one batch", "share of k * R", "429s", "images/s"),
        rows=[
            (str(u.accounts), "one more" if u.has_hanging else "none", "yes" if u.is_one_batch else "no",
             f"{u.share:.1%}", str(u.refused), f"{u.images_per_second:.1f}") for u in uses
        ],
        figures={"uses": uses},
    )  # fmt: skip


def _measured(
    place: Ground,
    number: int,
    count: int,
    has_hanging: bool,  # noqa: FBT001
    is_one_batch: bool,  # noqa: FBT001
    measured_s: float,
) -> Use:
    settings = {
        "rate_limit": round(RATE * WINDOW_S),
        "rate_window_s": WINDOW_S,
        "rate_algorithm": RateAlgorithm.FIXED_WINDOW.value,
        "latency_median_s": LATENCY_S,
    }
    with ground.sandbox(**settings) as provider, ground.sandbox(create_takes_s=HANGS_S) as hanging:
        keys = {f"account{n}": (provider.base_url, provider.open(f"account{n}")) for n in range(count)}
        if has_hanging:
            keys["hanging"] = (hanging.base_url, hanging.key)
        environment = {"RIVYA_API_KEY": "", "DARKROOM_ACCOUNTS": ",".join(keys), "DARKROOM_MAX_IN_FLIGHT": "2000"}
        for name, (url, key) in keys.items():
            environment |= {f"RIVYA_API_KEY__{name.upper()}": key, f"RIVYA_BASE_URL__{name.upper()}": url}
        environment |= {"DARKROOM_RATE": str(RATE), "DARKROOM_POOLS": "bulk" if is_one_batch else ""}
        with (
            node.darkroom(place, provider, name=f"accounts_{number}", broker=5 + number, **environment) as room,
            room.node(),
        ):
            jobs = int(RATE * (WARM_UP_S + measured_s)) + 50
            if is_one_batch:
                room.wait_for_pool(count)
                room.submit(jobs * count, name="all", pool="bulk")
            else:
                for name in reversed(keys):
                    room.submit(jobs, name=name, account=name)
            time.sleep(WARM_UP_S)
            before, started = _counted(provider), time.monotonic()
            time.sleep(measured_s)
            after, seconds = _counted(provider), time.monotonic() - started
    answered, refused, downloads = (b - a for a, b in zip(before, after, strict=True))
    return Use(
        accounts=count,
        has_hanging=has_hanging,
        is_one_batch=is_one_batch,
        share=answered / (count * RATE * seconds),
        refused=refused,
        images_per_second=downloads / seconds,
    )


def _counted(provider: Sandbox) -> tuple[int, int, int]:
    """Count the requests under a limit that were answered, those that were refused, and the images fetched."""
    by_kind = provider.books()["requests"]
    paced = [by_kind[kind] for kind in _PACED if kind in by_kind]
    refused = sum(kind.get("429", 0) for kind in paced)
    return sum(kind["total"] for kind in paced) - refused, refused, by_kind.get("download", {}).get("total", 0)
