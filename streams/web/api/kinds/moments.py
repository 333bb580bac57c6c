"""Moments as people say them: a day, a time of day, yesterday, so long ago."""

import re
from datetime import UTC, datetime, time, timedelta

from streams.web.api.parameters import Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)")
UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds of each unit that a length is told in."""


def length_of(text: str) -> int | None:
    """The seconds of a length such as 90m, 2h, 3d or 2w; None: it is none."""
    found = _AGO.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] if found else None


def moment_of(text: str, now: datetime) -> int:
    """Milliseconds since the epoch.

    Raises:
        ValueError: It is no moment.
    """
    days = {"today": 0, "yesterday": 1}
    if text in days:
        moment = datetime.combine(now.date() - timedelta(days=days[text]), time(), UTC)
    elif text == "now":
        moment = now
    elif (seconds := length_of(text)) is not None:
        moment = now - timedelta(seconds=seconds)
    else:
        if not text.isascii():
            raise ValueError(text)
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


MOMENT = Kind(
    lambda text: moment_of(text, datetime.now(UTC)),
    "a day or a moment in ISO 8601, UTC where it names no offset; or now, today, yesterday, or how long ago, "
    "such as 90m, 2h, 3d or 2w",
    "2026-11-24T10:00:00Z",
    {"type": "string", "minLength": 1},
)
