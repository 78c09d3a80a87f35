"""`python -m ops.bench`: runs benchmarks, prints what they found, and writes it down where asked to."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from ops.bench import comparison, findings, ground, interactive, scaling, soak
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.limits import accounts, limit_share, low_limits
from ops.bench.polls import hinted_polls, polling, real_hints, real_polls, scarce_polls
from ops.bench.volume import catalog, console, dispatch_rounds, enqueueing, history, statements, storage, uploading

BENCHMARKS: Mapping[str, Callable[[Ground, bool], Finding]] = {
    "enqueue": enqueueing.run,
    "upload": uploading.run,
    "dispatch": dispatch_rounds.run,
    "throughput": comparison.run,
    "limit": limit_share.run,
    "low-limits": low_limits.run,
    "scaling": scaling.run,
    "accounts": accounts.run,
    "interactive": interactive.run,
    "catalog": catalog.run,
    "polls": real_polls.run,
    "statement": statements.run,
    "storage": storage.run,
    "history": history.run,
    "soak": soak.run,
    "console": console.run,
    "polling": lambda _, is_quick: polling.run(is_quick=is_quick),
    "hints": real_hints.run,
    "hinted": lambda _, is_quick: hinted_polls.run(is_quick=is_quick),
    "scarce": lambda _, is_quick: scarce_polls.run(is_quick=is_quick),
}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when all of it came to an end."""
    options = _options(arguments)
    # Told to end, the servers and processes of a benchmark are ended too.
    signal.signal(signal.SIGTERM, _interrupt)
    found: list[Finding] = []
    with ExitStack() as stack:
        place = stack.enter_context(ground.opened())
        print(findings.circumstances(), flush=True)
        for name in options.names or BENCHMARKS:
            print(f"... {name}", file=sys.stderr, flush=True)
            found.append(BENCHMARKS[name](place, options.quick))
            print("\n" + findings.markdown(found[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(findings.as_json(found), indent=2, default=str) + "\n", encoding="utf-8")
    if options.document:
        write_between_markers(options.document, found)
    return 0


def write_between_markers(document: Path, found: Sequence[Finding]) -> None:
    """Replace in a document what lies between its two markers by what was found."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no lines {BEGIN} and {END}: put them where the figures belong")
    sections = "\n".join(findings.markdown(one) for one in found)
    text = f"{before}{BEGIN}\n\n{findings.circumstances()}.\n\n{sections}\n{END}{after}"
    document.write_text(text, encoding="utf-8")


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a handler is given
    # A second one must not stop the cleaning up that the first began.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description="Benchmarks of Darkroom.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} [all]")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, less than three minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="write the tables between the markers of this Markdown file"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    return options
