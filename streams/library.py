"""What this worker knows in memory, and the routes that answer from it."""

import time

from streams.api.freshness import LateFreshness
from streams.api.routes import Route
from streams.api.trends import TrendRoutes
from streams.settings import Settings
from streams.trend_index import TrendIndex


class Library:
    """The indexes over all partitions' rows.

    Attributes:
        freshness: How far the rows are; its source is set when the partitions are known.
        listeners: What must be told of each change of a row.
    """

    def __init__(self, _settings: Settings) -> None:
        self.freshness = LateFreshness()
        self._trends = TrendIndex()
        self.listeners = [self._trends.changed]

    def routes(self) -> list[Route]:
        """Give the routes that ask about the state."""
        return TrendRoutes(self._trends, self.freshness, time.time).routes()
