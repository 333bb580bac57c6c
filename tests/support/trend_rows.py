"""Rows of trend counts for tests, with the index that is fed by them."""

from streams.state.trends.index import TrendIndex


class HeldRows:
    """The rows of one partition, and its clock in milliseconds."""

    def __init__(self) -> None:
        self.stream_time = 0
        self.rows: dict[str, dict[str, bytes]] = {"trends": {}}


class TrendRows:
    """Three partitions, and an index that hears of every change, as it does from a state."""

    def __init__(self) -> None:
        self.states = {number: HeldRows() for number in range(3)}
        self.index = TrendIndex(self.states)

    def put(self, partition: int, key: str, row: bytes | None) -> None:
        """Set a row; None removes it."""
        rows = self.states[partition].rows["trends"]
        old = rows.pop(key, None)
        if row is not None:
            rows[key] = row
        if old is not None or row is not None:
            self.index.changed(partition, "trends", key, old, row)
