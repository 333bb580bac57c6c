"""Exactness where it is hardest: real processes, a real broker, and `kill -9` for all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.chaos.run import Chaos, Plan, steady_port

from streams.cli.local.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.kafka

SHORT = Plan(seed=7, uploads=4000, seconds=20, kills=5, frozen=9, sweep=False, streams=False)


@pytest.mark.timeout(600)
async def test_kills_lose_nothing_and_double_nothing(
    new_broker: Callable[[], EmbeddedBroker], tmp_path: Path
) -> None:
    """Everything that a client can read is what the upload topic alone leads to, whoever was killed.

    Results, tag-updates and dead letters once each and in order, every image's state, every count in every
    window, every interest, and the answers of each worker. `make chaos` does the same for longer, and with
    the streams of what changed, whose short test under kills is tests/streams/test_streams_whole.py.
    """
    broker = new_broker()
    broker.port = steady_port()
    broker.start()
    chaos = Chaos(SHORT, broker, tmp_path)
    verdict = await chaos.run()
    assert (verdict.lost, verdict.duplicates) == (0, 0), "\n".join(verdict.lines())
    assert verdict.exact, "\n".join(verdict.lines())
    assert (chaos.published, chaos.kills, chaos.broker_kills, chaos.freezes) == (4000, 5, 1, 1)
    assert chaos.unexpected == []
    assert chaos.inside > 0
    assert chaos.progress.stuck == 0
    assert min(chaos.sources.told[kind] for kind in ("served", "503", "404")) > 2
    assert min(verdict.checked[kind] for kind in ("results", "tag-updates", "dead letters")) > 100
