"""What a rescale tells."""

from dataclasses import dataclass


@dataclass
class Report:
    """How far a rescale is.

    Attributes:
        partitions: How many there are to be.
        images: How many images there are.
        total: Those that belong to another partition now, as found at the beginning.
        moved: Those that were moved.
        waiting: Uploads that wait for their sources.
    """

    partitions: int
    images: int = 0
    total: int = 0
    moved: int = 0
    waiting: int = 0
