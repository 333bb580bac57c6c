"""Trend counts in memory, fed with the changes of the rows of `trends`."""

from collections.abc import Mapping

from streams.fold.rows import State, TrendKey
from streams.fold.trend_rows.recent import RECENT
from streams.state.loading import Loading
from streams.state.trends.buckets import Bucket
from streams.state.trends.counts import TenantTrends
from streams.state.trends.loading import TrendLoading
from streams.state.trends.sketches import UploaderSketches

TABLE = "trends"
_NO_TENANT = ""


class TrendIndex:
    """Counts of all tenants, over all partitions.

    Attributes:
        table: Whose rows it is fed with.
    """

    table = TABLE

    def __init__(self, states: Mapping[int, State]) -> None:
        """Begin empty.

        Args:
            states: Rows by partition; what is rarely asked for is looked up there.
        """
        self._sketches = UploaderSketches(states)
        self._tenants: dict[str, TenantTrends] = {}

    def changed(self, _partition: int, table: str, key: str, old: bytes | None, new: bytes | None) -> None:
        """Take in that a partition's row changed; other tables' rows are passed over."""
        if table != TABLE:
            return
        place = TrendKey.decode(key)
        trends = self._held(place.tenant)
        if place.window == RECENT:
            trends.move_recent(place.tag, old, new)
        else:
            trends.move(Bucket(place.window, place.start), place.tag, old, new)
        if trends.is_empty:
            del self._tenants[place.tenant]

    def loading(self, _partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        return TrendLoading(self._held)

    def tenant(self, name: str = _NO_TENANT) -> TenantTrends:
        """A tenant's counts; those of an unknown one are empty."""
        return self._tenants.get(name) or TenantTrends(name, self._sketches)

    @property
    def tenants(self) -> list[str]:
        """The tenants that have counts."""
        return list(self._tenants)

    def _held(self, tenant: str) -> TenantTrends:
        trends = self._tenants.get(tenant)
        if trends is None:
            trends = self._tenants[tenant] = TenantTrends(tenant, self._sketches)
        return trends
