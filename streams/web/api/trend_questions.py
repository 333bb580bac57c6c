"""What can be asked about trends."""

from dataclasses import dataclass
from typing import Annotated

from streams.state.trends.rising import LEAST_UPLOADERS, LEAST_USES
from streams.web.api.kinds.cursors import NamePage
from streams.web.api.kinds.moments import MOMENT
from streams.web.api.parameters import NAME, PREFIX, Limit, Parameter, Tenant, one_of, whole_number
from streams.web.api.windows import AskedWindow, window_kind

MAX_COMPARED = 50
MAX_LINES = 20
PREVIOUS = AskedWindow("previous")

AnyWindow = Annotated[AskedWindow, Parameter(window_kind(with_all=True), "Event times.", default="24h")]
BoundedWindow = Annotated[AskedWindow, Parameter(window_kind(with_all=False), "Event times.", default="24h")]


From = Annotated[int | None, Parameter(MOMENT, "Where a range begins that takes the window's place.")]
Since = Annotated[int | None, Parameter(MOMENT, "The same.")]
To = Annotated[int | None, Parameter(MOMENT, "Where that range ends. Absent: now.")]


@dataclass(frozen=True, kw_only=True)
class TopQuestion:
    """Parameters of `GET /trends/top`."""

    window: AnyWindow
    from_: From
    since: Since
    to: To
    limit: Limit
    by: Annotated[str, Parameter(one_of("uses", "uploaders"), "What is counted.", default="uses")]
    add_on: Annotated[
        str | None, Parameter(NAME, "Count only the tags from this add-on; `own`: that came with the image.")
    ]
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class RisingQuestion:
    """Parameters of `GET /trends/rising`."""

    window: BoundedWindow
    from_: From
    since: Since
    to: To
    baseline: Annotated[
        AskedWindow | None,
        Parameter(
            window_kind(with_all=False),
            "What the window is held against: so much time before it, or an hour or day that ends before it. "
            "Absent: 24h before an hour, 7d before a day, 30d before more.",
        ),
    ]
    limit: Limit
    least_uses: Annotated[
        int, Parameter(whole_number(1, 1_000_000), "With fewer nothing trends.", default=LEAST_USES)
    ]
    least_uploaders: Annotated[
        int,
        Parameter(
            whole_number(0, 1_000_000),
            "With fewer nothing trends, where uploaders are known.",
            default=LEAST_UPLOADERS,
        ),
    ]
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class SeriesQuestion:
    """Parameters of `GET /trends/tags/{tag}`."""

    tag: Annotated[str, Parameter(NAME, "The tag.", required=True)]
    window: AnyWindow
    from_: From
    since: Since
    to: To
    step: Annotated[
        str | None,
        Parameter(
            one_of("minute", "hour", "day"),
            "Length of a point. Absent: minutes of an hour, hours of up to a week, days of more, if kept.",
        ),
    ]
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class LinesQuestion:
    """Parameters of `GET /trends/series`."""

    tag: Annotated[
        tuple[str, ...], Parameter(NAME, "A tag; say it once for each.", required=True, most=MAX_LINES)
    ]
    window: BoundedWindow
    from_: From
    since: Since
    to: To
    step: Annotated[
        str | None,
        Parameter(one_of("minute", "hour", "day"), "Length of a step. Absent: as of a single series."),
    ]
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class CompareQuestion:
    """Parameters of `GET /trends/compare`."""

    a: BoundedWindow
    b: Annotated[
        AskedWindow,
        Parameter(
            window_kind(with_all=False, words=(PREVIOUS.name,)),
            "The other window; `previous`: as much time before `a`.",
            default=PREVIOUS.name,
        ),
    ]
    tag: Annotated[
        tuple[str, ...],
        Parameter(NAME, "A tag to compare. Absent: those with the most images.", most=MAX_COMPARED),
    ]
    limit: Limit
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class TagsQuestion:
    """Parameters of `GET /tags`."""

    prefix: Annotated[str, Parameter(PREFIX, "How the tags begin.", default="")]
    limit: Limit
    cursor: NamePage
    tenant: Tenant
