"""Tables that fit the terminal: numbers are never cut, and what has no room goes on a line below its row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_GAP = 2
_INDENT = 2
_NARROWEST = 12
"""A column of text is folded down to this width, and no further."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a listing."""

    heading: str
    is_number: bool = False
    """Set to the right, and never folded; its heading is, between words."""
    is_whole: bool = False
    """Never folded, as ids and instants."""


class Listing:
    """Rows under headings, laid out when they are printed and the width is known."""

    def __init__(self, columns: Sequence[Column], *, details: Sequence[str] = ()) -> None:
        """Begin with no row; for want of room the columns named in ``details`` move below their row, in this order.

        Where that is not enough the others do, the last one first; the first column stays.
        """
        self._columns = tuple(columns)
        self._details = tuple(details)
        self._rows: list[tuple[Text, ...]] = []

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row with a cell for each column; text is shown as it is, markup or not."""
        texts = [cell.copy() if isinstance(cell, Text) else Text(cell) for cell in cells]
        for text in texts:
            text.stylize(style)
        self._rows.append(tuple(texts))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the rows out for the width of the console."""
        shown, below = self._split(options.max_width)
        widths = self._widths(shown, options.max_width)
        headings = [Text(each.heading, style="dim") for each in self._columns]
        yield from self._folded(console, headings, shown, widths)
        for row in self._rows:
            yield from self._folded(console, row, shown, widths)
            if pairs := [(self._columns[at].heading, row[at]) for at in below if row[at].plain]:
                yield from _pairs(console, pairs, options.max_width)

    def _picked(self, shown: Sequence[int]) -> list[Column]:
        return [self._columns[at] for at in shown]

    def _natural(self, at: int) -> int:
        return max((Text(self._columns[at].heading).cell_len, *(row[at].cell_len for row in self._rows)))

    def _split(self, width: int) -> tuple[list[int], list[int]]:
        """Choose the columns in the rows, and those below them, by number."""
        shown, below = list(range(len(self._columns))), list[int]()
        named = [next(at for at in shown if self._columns[at].heading == each) for each in self._details]
        for at in [*named, *(at for at in reversed(shown[1:]) if at not in named)]:
            if _total(map(self._least, shown)) <= width:
                break
            shown.remove(at)
            below.append(at)
        return shown, sorted(below)

    def _least(self, at: int) -> int:
        """Find the width that the column needs at the least."""
        column = self._columns[at]
        if not (column.is_number or column.is_whole):
            return min(self._natural(at), _NARROWEST)
        words = (Text(word).cell_len for word in column.heading.split())
        return max((*words, *(row[at].cell_len for row in self._rows)))

    def _widths(self, shown: Sequence[int], width: int) -> list[int]:
        """Return each column's width: its longest cell, or less for the widest texts where the table is too wide."""
        widths = [self._natural(at) for at in shown]
        while (surplus := _total(widths) - width) > 0:
            spare = {n: widths[n] - self._least(at) for n, at in enumerate(shown) if widths[n] > self._least(at)}
            if not spare:
                break
            widest = max(spare, key=lambda n: widths[n])
            others = sorted((widths[n] for n in spare if n != widest), reverse=True)
            step = max(1, widths[widest] - (others[0] if others else 0))
            widths[widest] -= min(surplus, spare[widest], step)
        return widths

    def _folded(
        self, console: Console, row: Sequence[Text], shown: Sequence[int], widths: Sequence[int]
    ) -> Iterable[Text]:
        """Yield the lines of one row."""
        cells = [
            list(row[at].wrap(console, max(width, 1), overflow="fold")) if row[at].plain else [Text("")]
            for at, width in zip(shown, widths, strict=True)
        ]
        for n in range(max(map(len, cells))):
            yield _line([cell[n] if n < len(cell) else Text("") for cell in cells], self._picked(shown), widths)


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + _GAP * (len(found) - 1)


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text()
    for n, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        cell.rstrip()
        padding = " " * max(0, width - cell.cell_len)
        line.append(" " * (_GAP if n else 0))
        line.append_text(Text(padding) + cell if column.is_number else cell + Text(padding))
    line.rstrip()
    return line


def _pairs(console: Console, pairs: Iterable[tuple[str, Text]], width: int) -> Iterable[Text]:
    """Yield headings with their values, as many to a line as fit."""
    line = Text()
    for heading, value in pairs:
        pair = Text.assemble((f"{heading} ", "dim"), value)
        if line.plain and line.cell_len + _GAP + pair.cell_len > width - _INDENT:
            yield from _indented(console, line, width)
            line = Text()
        line.append_text(Text(" " * _GAP if line.plain else "") + pair)
    yield from _indented(console, line, width)


def _indented(console: Console, line: Text, width: int) -> Iterable[Text]:
    for each in line.wrap(console, max(width - _INDENT, 1), overflow="fold"):
        each.rstrip()
        yield Text(" " * _INDENT) + each
