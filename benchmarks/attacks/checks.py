"""What an attack measured, beside what it may be."""

from typing import NamedTuple


class Check(NamedTuple):
    """One figure, and its bound.

    Attributes:
        what: The figure in words, with its unit.
        value: What was measured.
        most: What it may be at most.
        clocked: Whether other work on the machine makes it larger, so that `--slack` applies.
    """

    what: str
    value: float
    most: float
    clocked: bool = False

    def holds(self, slack: float) -> bool:
        """Whether the figure is within its bound."""
        return self.value <= self.most * (slack if self.clocked else 1)

    def line(self, slack: float) -> str:
        """The figure, its bound and whether it holds."""
        bound = self.most * (slack if self.clocked else 1)
        return (
            f"  {'ok  ' if self.holds(slack) else 'FAIL'} {self.what}: {self.value:.4g} (at most {bound:.4g})"
        )
