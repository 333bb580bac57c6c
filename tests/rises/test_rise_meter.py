"""What is told of rises is counted by phase."""

from schemas.streams.records import Trend, TrendPhase
from streams.rises.meter import RiseMeter
from streams.telemetry.metrics import TREND_PHASES
from streams.telemetry.recorder import Recorder


def trend(phase: TrendPhase) -> Trend:
    return Trend(**dict.fromkeys(Trend.__struct_fields__) | {"phase": phase})


def test_phases_are_counted() -> None:
    """Each from 0 on, by the name that its records have."""
    recorder = Recorder({})
    meter = RiseMeter(recorder)
    meter.note([trend(TrendPhase.BEGAN), trend(TrendPhase.BEGAN), trend(TrendPhase.ENDED)])
    counted = recorder.counter("tagstream_trends_total").values
    assert [counted[phase,] for phase in TREND_PHASES] == [2, 0, 1]
