"""Texts in a row that keep together what belongs together, such as a tag and its confidence."""

from collections.abc import Iterable, Iterator
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text


class Flow:
    """Texts in a row, broken into lines between them and not inside.

    One that is wider than a line is broken between its words, the last two of which stay together. Where
    lines are not to be wrapped, as for a pipe, it is one line.

    Attributes:
        indent: Columns before each line but the first.
    """

    def __init__(self, indent: int = 0) -> None:
        self.indent = indent
        self._texts: list[tuple[int, Text]] = []

    def add(self, text: str | Text, style: str = "", *, gap: int = 2) -> Self:
        """Put a text behind the others, with so many spaces between."""
        self._texts.append((gap, Text(text, style=style) if isinstance(text, str) else text))
        return self

    def extend(self, others: Iterable[tuple[int, Text]]) -> Self:
        """Put the texts of another behind these."""
        self._texts += others
        return self

    def __iter__(self) -> Iterator[tuple[int, Text]]:
        return iter(self._texts)

    @property
    def plain(self) -> str:
        """The characters, in one line."""
        return self._line().plain

    def lines(self, width: int) -> list[Text]:
        """The lines, each of at most `width` columns where its words are not wider.

        Args:
            width: Columns, at least 1.
        """
        indent = min(self.indent, width // 2)
        lines: list[Text] = []
        for gap, text in self._that_fit(width - indent):
            if lines and lines[-1].cell_len + gap + text.cell_len <= width:
                lines[-1].append(" " * gap).append_text(text)
            else:
                lines.append(Text(" " * (indent if lines else 0)).append_text(text))
        return lines

    def _that_fit(self, width: int) -> Iterator[tuple[int, Text]]:
        for gap, text in self._texts:
            if text.cell_len <= width:
                yield gap, text
            else:  # on a line of its own: it takes more than one
                yield from ((1 if place else width, part) for place, part in enumerate(_parts(text)))

    def _line(self) -> Text:
        line = Text()
        for gap, text in self._texts:
            line.append(" " * gap if line else "").append_text(text)
        return line

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        if options.no_wrap:
            yield self._line()
        else:
            yield from self.lines(max(options.max_width, 1))

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """How much room it takes: at least that of its widest part."""
        parts = (part for _, text in self._texts for part in _parts(text))
        least = min(max((part.cell_len for part in parts), default=0), options.max_width)
        return Measurement(least, max(min(self._line().cell_len, options.max_width), least))


def _parts(text: Text) -> list[Text]:
    words = list(text.split(" "))
    return [*words[:-2], Text(" ").join(words[-2:])]
