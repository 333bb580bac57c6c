"""What a window is held against, and the blocks that it is weighed by."""

from streams.fold.rows import WINDOW_SECONDS
from streams.state.trends.rising import Block
from streams.web.access.errors import BadQuestionError
from streams.web.api.windows import DAY, ROLLING, AskedWindow, Span

_BLOCKS = 24  # at least, in a window: four in a half-life


def baseline_of(window: Span, asked: AskedWindow | None, now: float, begin: int | None) -> Span:
    """Give the time before a window that it is held against.

    Args:
        window: The window.
        asked: The baseline that was asked for: so much time before the window, or an hour or a day.
        now: Seconds since the epoch.
        begin: Where the counts begin: the baseline is cut to what there is.

    Raises:
        BadQuestionError: The baseline reaches into the window.
    """
    asked = asked or AskedWindow(_default_baseline(window))
    if asked.name in ROLLING:
        step, number = ROLLING[asked.name]
        # minutes are not kept for as long as a baseline of hours reaches back
        span = window.before(number * WINDOW_SECONDS[step], asked.name, step)
    else:
        span = asked.span(now)
    if span.end > window.start:
        message = f"baseline {asked.name!r} must end before the window begins; say an earlier one, or 7d"
        raise BadQuestionError("invalid_baseline", message)
    start = span.start if begin is None else min(max(span.start, begin), span.end)
    return Span(span.name, start, span.end, span.step)


def _default_baseline(window: Span) -> str:
    if window.seconds <= WINDOW_SECONDS["hour"]:
        return "24h"
    return "7d" if window.seconds <= DAY else "30d"


def blocks_of(window: Span, now: float) -> list[Block]:
    """Cut the part of a window that is over into about thirty blocks of whole steps.

    The last one ends now; its buckets may reach beyond, for the step under way.
    """
    over, length = window.until(now), WINDOW_SECONDS[window.step]
    size = max(window.seconds // length // _BLOCKS, 1) * length
    blocks: list[Block] = []
    for start in range(window.start, over.end, size):
        end = min(start + size, over.end)
        whole = Span(window.name, start, -(-end // length) * length, window.step)
        blocks.append(Block(whole.buckets(), start, end))
    return blocks
