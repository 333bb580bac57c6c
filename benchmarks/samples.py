"""Figures over time: taken while something runs, and drawn."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _MARGIN = 640, 240, 48  # of a plot, in pixels


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment: seconds since the start, and the figure."""

    seconds: float
    value: float


async def sampled(work: Awaitable[None], figure: Callable[[], float], every: float = 0.5) -> Sequence[Sample]:
    """Take a figure again and again until the work is done."""
    started = time.monotonic()
    found: list[Sample] = []
    task = asyncio.ensure_future(work)
    while not task.done():
        found.append(Sample(time.monotonic() - started, figure()))
        await asyncio.wait({task}, timeout=every)
    await task
    return found


def sparkline(samples: Sequence[Sample], width: int = 60) -> str:
    """Draw figures as a line of text, from 0 to the greatest."""
    step = max(1, len(samples) // width)
    values = [sample.value for sample in samples[::step]]
    top = max(values) or 1.0
    return "".join(_BARS[min(7, int(value / top * 8))] for value in values)


def write_plot(path: Path, title: str, samples: Sequence[Sample]) -> None:
    """Write figures as an SVG file, from 0 to the greatest."""
    top = max(sample.value for sample in samples) * 1.1 or 1.0
    end = samples[-1].seconds or 1.0
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    points = " ".join(
        f"{_MARGIN + sample.seconds / end * across:.1f},{_HEIGHT - _MARGIN - sample.value / top * down:.1f}"
        for sample in samples
    )
    frame = f"M{_MARGIN},{_MARGIN} V{_HEIGHT - _MARGIN} H{_WIDTH - _MARGIN}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{_MARGIN}" y="24">{title}</text>'
        f'<text x="8" y="{_MARGIN + 4}">{top:.0f}</text><text x="8" y="{_HEIGHT - _MARGIN}">0</text>'
        f'<text x="{_WIDTH - _MARGIN - 24}" y="{_HEIGHT - _MARGIN + 18}">{end:.0f} s</text>'
        f'<path d="{frame}" fill="none" stroke="gray"/>'
        f'<polyline points="{points}" fill="none" stroke="black" stroke-width="1.5"/></svg>\n'
    )
