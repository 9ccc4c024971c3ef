"""How the story is told: acts, who does what, facts with seconds; readable live and in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

COLOURS = {"Camille": "magenta", "Kawa": "yellow", "Noé": "cyan", "chain": "blue"}
NAME_WIDTH = 8


class Stage:
    """A console that tells a story. Units: seconds since `Stage` was made."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._begun

    def act(self, number: int, title: str) -> None:
        """Open an act."""
        self._console.print()
        self._console.rule(f"[bold]{number}. {escape(title)}[/]", align="left", style="dim")

    def says(self, who: str, what: str) -> None:
        """Tell what somebody does."""
        colour = COLOURS.get(who, "white")
        self._console.print(
            f"[dim]{self.seconds:6.1f} s[/]  [bold {colour}]{escape(who):<{NAME_WIDTH}}[/]  {escape(what)}"
        )

    def fact(self, name: str, value: object) -> None:
        """Show a value that anyone can check."""
        self._console.print(f"{'':>8}  {'':<{NAME_WIDTH}}    [dim]{escape(name)}[/] {escape(str(value))}")

    def words(self, lines: Sequence[str]) -> None:
        """Quote the human words of a contract."""
        for line in lines:
            self._console.print(f"{'':>8}  {'':<{NAME_WIDTH}}    [italic]“{escape(line)}”[/]")

    @contextmanager
    def timed(self, who: str, what: str) -> Iterator[None]:
        """Tell what somebody does and how long it took."""
        begun = time.monotonic()
        with self._console.status(f"{escape(who)}: {escape(what)} …"):
            yield
        self.says(who, f"{what}  ({time.monotonic() - begun:.1f} s)")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str) -> None:
        """Show a table."""
        table = Table(*columns, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self._console.print()
        self._console.print(table)

    def line(self, text: str = "") -> None:
        """Say something plainly."""
        self._console.print(escape(text))
