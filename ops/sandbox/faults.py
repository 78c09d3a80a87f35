"""What goes wrong with the next request of a kind: by script first, else by a seeded draw."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ops.sandbox.choices import ONLY_CREATES, OUTCOMES, Fault, Kind
from ops.sandbox.settings_check import EVERY_KIND, SettingsError

MAX_SCRIPT = 10_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One scripted fault: the nth request of a kind, counted from the start of the process."""

    on: Kind
    nth: int
    fault: Fault
    delay_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What happens to one request, and to the generation that it may start."""

    exchange: Fault | None = None
    outcome: Fault | None = None
    delay_s: float | None = None


class Faults:
    """The dice and the script; each kind of request has dice of its own."""

    def __init__(self, seed: str) -> None:
        self._dice = {kind: random.Random(f"{seed}:{kind}") for kind in Kind}
        self._outcome_dice = random.Random(f"{seed}:outcome")
        self._arrived: Counter[Kind] = Counter()
        self._script: list[Line] = []
        self.happened: Counter[tuple[Kind, Fault]] = Counter()

    def draw(self, kind: Kind, odds: Mapping[str, Mapping[str, float]]) -> Draw:
        """The fate of a request that has just arrived."""
        self._arrived[kind] += 1
        rolled = _pick(self._dice[kind].random(), kind, odds, outcomes=False) if odds else None
        lines = self._due(kind) if self._script else []
        exchange = next((line for line in lines if line.fault not in OUTCOMES), None)
        outcome = next((line.fault for line in lines if line.fault in OUTCOMES), None)
        if exchange is None:
            return Draw(exchange=rolled, outcome=outcome)
        return Draw(exchange=exchange.fault, outcome=outcome, delay_s=exchange.delay_s)

    def outcome(self, odds: Mapping[str, Mapping[str, float]]) -> Fault | None:
        """The fate of a generation that is being created."""
        return _pick(self._outcome_dice.random(), Kind.CREATE, odds, outcomes=True) if odds else None

    def plan(self, lines: object) -> None:
        """The lines are appended to the script, each `nth` counted from now; raises SettingsError."""
        if not isinstance(lines, list) or len(lines) > MAX_SCRIPT:
            raise SettingsError("script", "not a list", '[{"on": "create", "nth": 1, "fault": "lost_reply"}]')
        self._script += [self._line(number, line) for number, line in enumerate(lines)]

    def forget(self) -> None:
        """The script is empty."""
        self._script.clear()

    def pending(self) -> list[dict[str, object]]:
        """The lines that have not happened yet, each `nth` counted from now."""
        return [
            {
                "on": line.on,
                "nth": line.nth - self._arrived[line.on],
                "fault": line.fault,
                "delay_s": line.delay_s,
            }
            for line in self._script
        ]

    def _due(self, kind: Kind) -> list[Line]:
        due = [line for line in self._script if line.on is kind and line.nth == self._arrived[kind]]
        self._script = [line for line in self._script if line not in due]
        return due

    def _line(self, number: int, line: object) -> Line:
        name = f"script[{number}]"
        if not isinstance(line, dict) or not {"on", "nth", "fault"} <= line.keys() <= {
            "on",
            "nth",
            "fault",
            "delay_s",
        }:
            raise SettingsError(name, "wrong keys", "on, nth, fault and, if wanted, delay_s")
        if line["on"] not in list(Kind) or line["fault"] not in list(Fault):
            raise SettingsError(name, "unknown kind or fault", f"on: {', '.join(Kind)}; fault: {', '.join(Fault)}")
        if line["fault"] in ONLY_CREATES and line["on"] != Kind.CREATE:
            raise SettingsError(name, f"{line['fault']!r} happens to creates", "on: create")
        if isinstance(line["nth"], bool) or not isinstance(line["nth"], int) or line["nth"] < 1:
            raise SettingsError(name, f"nth {line['nth']!r}", "a whole number from 1, counted from now")
        kind = Kind(line["on"])
        nth = self._arrived[kind] + line["nth"]
        return Line(on=kind, nth=nth, fault=Fault(line["fault"]), delay_s=line.get("delay_s"))


def _pick(roll: float, kind: Kind, odds: Mapping[str, Mapping[str, float]], *, outcomes: bool) -> Fault | None:
    edge = 0.0
    for name, share in {**odds.get(EVERY_KIND, {}), **odds.get(kind, {})}.items():
        if (name in OUTCOMES) is outcomes:
            edge += share
            if roll < edge:
                return Fault(name)
    return None
