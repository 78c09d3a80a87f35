"""The progress of one batch: a live display on a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from worker import wiring
from worker.batches.queries.overview import Overview
from worker.core.rules.states import ENDED_JOBS, JobState
from worker.engine.rules.give_up import SHOWN_AFTER

TICK_S = 0.25
"""Between two looks; a look that takes long is followed by a longer pause, so that it costs little."""
PLAIN_LINE_S = 5.0
"""Between two lines where there is no terminal."""
STILL_S = 15.0
"""Without any change for so long, the reason is looked for."""
_RATE_WINDOW_S = 30.0
_BAR_WIDTH = 46


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The rate at which jobs end; None until it is known."""

    per_second: float | None
    left_s: float | None


class Progress:
    """Follows one batch until nothing more happens by itself."""

    def __init__(
        self,
        look: Callable[[], Overview],
        console: Console,
        *,
        supervise: Callable[[], None] = lambda: None,
        why_still: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Take what to look at; ``supervise`` is called at every tick, ``why_still`` when nothing changes."""
        self._look = look
        self._console = console
        self._supervise = supervise
        self._why_still = why_still
        self._ends: deque[tuple[float, int]] = deque()
        self._note = ""
        self._changed_at = time.monotonic()
        self._seen: object = None
        self._printed_at = float("-inf")
        self._printed: object = None
        self._spinner = Spinner("dots", style="cyan")

    def follow(self) -> Overview:
        """Return the batch as it is when it is done, or when waiting longer would not help."""
        if not self._console.is_terminal:
            return self._loop(self._print_line)
        with Live(console=self._console, refresh_per_second=8, transient=False) as live:
            return self._loop(lambda found, pace: live.update(self._picture(found, pace), refresh=True))

    def _loop(self, show: Callable[[Overview, Pace], None]) -> Overview:
        while True:
            began = time.monotonic()
            self._supervise()
            found = self._look()
            took = time.monotonic() - began
            show(found, self._pace(found))
            if found.is_done or is_stuck(found):
                return found
            self._explain_stillness(found)
            time.sleep(max(TICK_S, 8 * took))

    def _pace(self, found: Overview) -> Pace:
        """Measure over the last half minute, so that a batch that was slow at first is not held against it."""
        now = time.monotonic()
        self._ends.append((now, found.ended))
        while len(self._ends) > 2 and now - self._ends[0][0] > _RATE_WINDOW_S:  # noqa: PLR2004 - a line has two ends
            self._ends.popleft()
        (since, before), (until, after) = self._ends[0], self._ends[-1]
        if after == before or until - since < 1:
            return Pace(per_second=None, left_s=None)
        rate = (after - before) / (until - since)
        return Pace(per_second=rate, left_s=(found.batch.size - found.ended) / rate)

    def _explain_stillness(self, found: Overview) -> None:
        now = time.monotonic()
        mark = (tuple(found.jobs.items()), found.held, found.reserved)
        if mark != self._seen:
            self._seen, self._changed_at, self._note = mark, now, ""
        elif now - self._changed_at > STILL_S:
            self._changed_at = now
            self._note = self._why_still() or ""

    def _print_line(self, found: Overview, pace: Pace) -> None:
        now = time.monotonic()
        text = plain_line(found, pace, self._reason(found))
        is_due = now - self._printed_at >= PLAIN_LINE_S and text != self._printed
        if is_due or found.is_done or is_stuck(found):
            self._console.print(text, markup=False)
            self._printed, self._printed_at = text, now

    def _reason(self, found: Overview) -> str:
        if found.obstacle is None:
            return _why_not_downloaded(found) or self._note
        awaited = found.not_downloaded.error
        is_said = awaited is None or awaited in found.obstacle.reason
        return "; ".join(filter(None, [found.obstacle.reason, "" if is_said else _why_not_downloaded(found)]))

    def _picture(self, found: Overview, pace: Pace) -> RenderableType:
        head = Table.grid(padding=(0, 1))
        mark: RenderableType = Text("✓", style="green") if found.is_done else self._spinner
        percent = 100 * found.ended // max(found.batch.size, 1)
        head.add_row(mark, Text(found.batch.name, style="bold"), _bar(found), f"{percent} %", _timing(found, pace))
        lines: list[RenderableType] = [head, _jobs_line(found), _credits_line(found)]
        if not found.is_done and (reason := self._reason(found)):
            lines.append(Text(f"  {reason}", style="yellow"))
        return Group(*lines)


def plain_line(found: Overview, pace: Pace, reason: str = "") -> str:
    """Return where the batch stands in one line."""
    jobs = ", ".join(f"{label} {count:,}" for label, count, _ in _counts(found))
    rate = "" if pace.per_second is None else f"; {pace.per_second:.1f} images/s"
    left = "" if pace.left_s is None or found.is_done else f", {_duration(pace.left_s)} left"
    money = f"credits: held {found.held:,}, reserved {found.reserved:,}, spent {found.spent:,}"
    waits = f"; {reason}" if reason and not found.is_done else ""
    return f"{found.batch.name}: {jobs}; {money}{rate}{left}{waits}"


def is_stuck(found: Overview) -> bool:
    """Whether nothing is in progress and nothing will be."""
    has_live = found.jobs[JobState.ACTIVE] > 0
    return found.obstacle is not None and not found.obstacle.ends_by_itself and not has_live


def _counts(found: Overview) -> list[tuple[str, int, str]]:
    jobs = found.jobs
    always = [
        ("pending", jobs[JobState.PENDING], "white"),
        ("in flight", jobs[JobState.ACTIVE], "cyan"),
        ("done", jobs[JobState.SUCCEEDED], "green"),
        ("failed", jobs[JobState.FAILED], "red"),
    ]
    seldom = [
        ("paid, not downloaded yet", found.not_downloaded.count if _is_long(found) else 0, "yellow"),
        ("cancelled", jobs[JobState.CANCELLED], "magenta"),
        ("in doubt", jobs[JobState.IN_DOUBT], "yellow"),
    ]
    return always + [each for each in seldom if each[1]]


def _is_long(found: Overview) -> bool:
    """Whether a paid image is not downloaded for so long that a screen speaks of it."""
    return found.not_downloaded.is_older_than(SHOWN_AFTER, now=wiring.clock())


def _why_not_downloaded(found: Overview) -> str:
    return found.not_downloaded.why if _is_long(found) else ""


def _jobs_line(found: Overview) -> Text:
    line = Text("  ")
    for label, count, colour in _counts(found):
        line.append(f"{label} ", style="dim")
        line.append(f"{count:,}", style=colour if count else "dim")
        line.append("   ")
    return line


def _credits_line(found: Overview) -> Text:
    line = Text("  credits   ", style="dim")
    for label, amount in (("held", found.held), ("reserved", found.reserved), ("spent", found.spent)):
        line.append(f"{label} ", style="dim")
        line.append(f"{amount:,}", style="bold" if amount else "dim")
        line.append("   ")
    if found.batch.credit_cap is not None:
        line.append(f"cap {found.batch.credit_cap:,}", style="dim")
    return line


def _bar(found: Overview) -> Text:
    """Draw done, lost and live jobs in their colours, each at least one cell wide if there is any."""
    size = max(found.batch.size, 1)
    shares = (
        (found.jobs[JobState.SUCCEEDED], "green", "━"),
        (sum(found.jobs[state] for state in ENDED_JOBS - {JobState.SUCCEEDED}), "red", "━"),
        (found.jobs[JobState.ACTIVE], "cyan", "╍"),
    )
    bar = Text()
    for count, colour, mark in shares:
        cells = min(max(round(_BAR_WIDTH * count / size), 1 if count else 0), _BAR_WIDTH - len(bar))
        bar.append(mark * cells, style=colour)
    return bar.append("─" * (_BAR_WIDTH - len(bar)), style="dim")


def _timing(found: Overview, pace: Pace) -> Text:
    if found.is_done:
        return Text("done", style="dim")
    if pace.per_second is None or pace.left_s is None:
        return Text("")
    return Text(f"{pace.per_second:.1f} images/s, {_duration(pace.left_s)} left", style="dim")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
