"""The life of one rise: it begins, is at its height, ends. Pure.

A tag rises from the step at which its score reaches `LEAST_SCORE` (or what its tenant's watchlist says), with
at least as many uses and uploaders as `/trends/rising` wants. It has peaked once it is used a fifth less than
at its height. It has ended when its score is below a quarter of that least one, as it is where the tag is not
used more than expected any more. One that ends without having peaked has peaked as it ends. So each rise is
told three times, in order.
"""

import hashlib
from typing import NamedTuple

import msgspec

from schemas.streams.records import Trend, TrendPhase
from schemas.times import utc_text

LEAST_SCORE = 16.0  # four standard deviations
_PEAKED = 0.8  # of the uses at the height
_ENDED = 0.25  # of the least score


class Figures(msgspec.Struct, frozen=True, array_like=True):
    """What was counted of a tag in a window: see `schemas.streams.records.Trend`."""

    observed: int
    expected: float
    score: float
    uploaders: int


class Rise(msgspec.Struct, frozen=True):
    """A rise that goes on.

    Attributes:
        began: The step at which it began, seconds since the epoch.
        peak: The figures at its height so far.
        peak_at: The step of those.
        peaked: Whether that it has peaked is told.
    """

    tenant: str
    tag: str
    began: int
    peak: Figures
    peak_at: int
    peaked: bool = False

    @property
    def name(self) -> str:
        """What names it in what is told."""
        return hashlib.sha256(f"{self.tenant}\x1f{self.tag}\x1f{self.began}".encode()).hexdigest()[:32]


class Step(NamedTuple):
    """What became of a rise at a step: how it goes on, None where it does not, and what is told."""

    rise: Rise | None
    told: list[Trend]


def begin(tenant: str, tag: str, figures: Figures, moment: int, window: str) -> Step:
    """A rise begins."""
    rise = Rise(tenant, tag, moment, figures, moment)
    return Step(rise, [_trend(TrendPhase.BEGAN, rise, figures, (moment, moment), window)])


def go_on(rise: Rise, figures: Figures, moment: int, window: str, least_score: float = LEAST_SCORE) -> Step:
    """What becomes of a rise at the next step."""
    if figures.observed > rise.peak.observed and not rise.peaked:
        rise = msgspec.structs.replace(rise, peak=figures, peak_at=moment)
    told: list[Trend] = []
    ended = figures.score < least_score * _ENDED
    if not rise.peaked and (ended or figures.observed <= rise.peak.observed * _PEAKED):
        told.append(_trend(TrendPhase.PEAKED, rise, rise.peak, (rise.peak_at, moment), window))
        rise = msgspec.structs.replace(rise, peaked=True)
    if ended:
        told.append(_trend(TrendPhase.ENDED, rise, figures, (moment, moment), window))
    return Step(None if ended else rise, told)


def _trend(phase: TrendPhase, rise: Rise, figures: Figures, times: tuple[int, int], window: str) -> Trend:
    at, told_at = times
    return Trend(
        phase=phase,
        rise=rise.name,
        tenant=rise.tenant,
        tag=rise.tag,
        window=window,
        at=_text(at),
        told_at=_text(told_at),
        began_at=_text(rise.began),
        observed=figures.observed,
        expected=figures.expected,
        score=figures.score,
        uploaders=figures.uploaders,
    )


def _text(seconds: int) -> str:
    return utc_text(seconds * 1000)
