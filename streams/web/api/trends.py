"""Questions about trends: what is used most, what rises, how a tag went, what changed."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from heapq import nsmallest

import numpy as np

from model.tagger.languages import TagNames
from schemas.answers.trends import (
    ComparedTag,
    ComparedTags,
    Point,
    RisingTag,
    RisingTags,
    TagCount,
    TagLine,
    TagLines,
    TagList,
    TagSeries,
    TopTags,
)
from schemas.times import utc_datetime
from streams.fold.rows import ALL, WINDOW_SECONDS
from streams.fold.trend_rows.uploaders import RELATIVE_STANDARD_ERROR
from streams.state.trends.buckets import Bucket
from streams.state.trends.counts import Counts, TenantTrends
from streams.state.trends.index import TrendIndex
from streams.state.trends.rising import HALF_LIVES, METHOD, Block, find_candidates, pick, sum_up
from streams.web.access.callers import EVERY_TENANT
from streams.web.access.errors import BadQuestionError, UnknownError
from streams.web.access.pricing import off_loop
from streams.web.api.baselines import baseline_of, blocks_of
from streams.web.api.freshness import Freshness, not_found, provenance
from streams.web.api.kinds.cursors import encode_cursor
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import Route
from streams.web.api.trend_questions import (
    PREVIOUS,
    CompareQuestion,
    LinesQuestion,
    RisingQuestion,
    SeriesQuestion,
    TagsQuestion,
    TopQuestion,
)
from streams.web.api.windows import DAY, Span, asked_span

Clock = Callable[[], float]  # seconds since the epoch
MAX_POINTS = 1500


class TrendRoutes:
    """Answers from an index. A window some of whose counts are no longer kept gets a reason, and no count."""

    def __init__(
        self, index: TrendIndex, freshness: Freshness, clock: Clock, retained: RetainedBuckets
    ) -> None:
        self._index = index
        self._freshness = freshness
        self._clock = clock
        self._retained = retained

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/trends/top", TopQuestion, TopTags, self.top, may_be_gone=True, every_tenant=True),
            Route("/trends/rising", RisingQuestion, RisingTags, self.rising, may_be_gone=True),
            Route("/trends/tags/{tag}", SeriesQuestion, TagSeries, self.series),
            Route("/trends/series", LinesQuestion, TagLines, self.lines, may_be_gone=True),
            Route("/trends/compare", CompareQuestion, ComparedTags, self.compare, may_be_gone=True),
            Route("/tags", TagsQuestion, TagList, self.tags),
        ]

    async def top(self, question: TopQuestion) -> TopTags:
        """Give the most used tags of a window.

        `by=uses` counts images. `by=uploaders` counts distinct users, as a sketch estimates them:
        `uploaders_error` is its relative standard error. Uploaders of images that were deleted or tagged anew
        stay in the sketch, but no tag is given more uploaders than images.

        Counts by minute, hour and day are kept for a while each. A window that takes some which are gone is
        answered with 404, `not_kept`, and what can be asked instead: of an hour of long ago the whole day.

        `tenant=*` counts the images of all tenants, for callers who may ask about each.
        """
        span = asked_span(question, self._clock())
        if question.tenant == EVERY_TENANT:
            return await self._top_of_all(question, span)
        trends = self._index.tenant(question.tenant)
        buckets, common = self._buckets("window", span), provenance(self._freshness, span.as_answered())
        counts = trends.counts(buckets, question.add_on)
        if question.by == "uses":
            with trends.reading():
                ranked = await off_loop(trends.top, counts, question.limit)
            return TopTags(**common, tags=[TagCount(tag.tag, tag.uses) for tag in ranked])
        if question.add_on is not None:
            message = "by='uploaders' cannot be had per add-on; leave add_on out, or say by=uses"
            raise BadQuestionError("invalid_by", message)
        with trends.reading():
            ranked = await off_loop(trends.top_by_uploaders, counts, buckets, question.limit)
        tags = [TagCount(tag.tag, tag.uses, tag.uploaders) for tag in ranked]
        return TopTags(**common, tags=tags, uploaders_error=RELATIVE_STANDARD_ERROR)

    async def _top_of_all(self, question: TopQuestion, span: Span) -> TopTags:
        """Give the most used tags of all tenants together."""
        if question.by != "uses":
            message = "by='uploaders' cannot be had of all tenants together; say one, or by=uses"
            raise BadQuestionError("invalid_by", message)
        buckets, total = self._buckets("window", span), Counter[str]()
        for tenant in self._index.tenants:
            trends = self._index.tenant(tenant)
            counts = trends.counts(buckets, question.add_on)
            with trends.reading():
                total.update(await off_loop(_by_tag, trends, counts))
        best = await off_loop(nsmallest, question.limit, total.items(), key=lambda item: (-item[1], item[0]))
        tags = [TagCount(tag, uses) for tag, uses in best]
        return TopTags(**provenance(self._freshness, span.as_answered()), tags=tags)

    async def rising(self, question: RisingQuestion) -> RisingTags:
        """Give the tags that are used more than their past lets expect.

        score = (observed - expected)^2 / expected, as Mastodon's trends have it: the squared number of
        standard deviations by which the window exceeds its expectation. `expected` is the baseline's count,
        scaled to the part of the window that is over, plus one, so that a tag never seen before has an
        expectation as well. A baseline that began before the first image does is cut to what there is.

        Tags below `least_uses`, or below `least_uploaders` where uploaders are known, do not trend, nor do
        those that do not exceed their expectation. Each use beyond it loses half of its weight per half-life,
        a sixth of the window; `recency` is the share that is left. The order is by score times recency.

        When in an hour something was is told by its minutes, when in a day or a week by its hours: where
        these are no longer kept, all tags of the window have the same `recency`.
        """
        now, trends = self._clock(), self._index.tenant(question.tenant)
        span = asked_span(question, now)
        buckets = self._buckets("window", span)
        baseline = baseline_of(span, question.baseline, now, self._begin(trends))
        common = provenance(self._freshness, span.as_answered())
        half_life = span.seconds // HALF_LIVES
        blocks, before = self._blocks(span, now), self._buckets("baseline", baseline)
        with trends.reading():
            candidates = await off_loop(
                find_candidates,
                await sum_up(trends, blocks, before),
                blocks,
                baseline.seconds,
                half_life=half_life,
                least=question.least_uses,
            )
            found = await off_loop(
                pick, trends, candidates, buckets, question.least_uploaders, question.limit
            )
        return RisingTags(
            **common,
            baseline=baseline.as_answered(),
            method=METHOD,
            half_life_seconds=half_life,
            uploaders_error=RELATIVE_STANDARD_ERROR,
            tags=[RisingTag(*rising) for rising in found],
        )

    async def series(self, question: SeriesQuestion) -> TagSeries:
        """Give a tag's counts over time, and its totals in the window.

        Points come for every step, also where nothing was counted. The window's edges may cut the first and
        the last point. Where no step is asked for, it is the finest that is still kept. `window=all` has the
        steps that are kept, the newest 1,500 at most; its totals hold everything. `uploaders` are those of
        the whole window, estimated with the error that is stated. A tag that no image has is taken for a
        name in another language; the answer has the tag.
        """
        trends = self._index.tenant(question.tenant)
        (tag,) = await _meant(trends, (question.tag,))
        question = replace(question, tag=tag)
        span = asked_span(question, self._clock())
        common = provenance(self._freshness, span.as_answered())
        if not trends.knows(tag):
            message = f"no image has the tag {tag[:64]!r}; /tags lists those there are"
            raise not_found(common, "unknown_tag", message)
        buckets = self._buckets("window", span)
        total = trends.count(tag, buckets)
        step, points = self._points(trends, question, span, total)
        first, last = trends.seen(tag)
        return TagSeries(
            **common,
            tag=tag,
            step=step,
            points=points,
            total=total,
            by_add_on=trends.by_add_on(tag, buckets),
            uploaders=min(trends.uploaders(tag, buckets), total),
            uploaders_error=RELATIVE_STANDARD_ERROR,
            first_seen=None if first is None else utc_datetime(first),
            last_seen=None if last is None else utc_datetime(last),
        )

    def _points(
        self, trends: TenantTrends, question: SeriesQuestion, span: Span, total: int
    ) -> tuple[str, list[Point]]:
        """Give the points of a series, and their step: the finest that is kept, unless one is asked for."""
        tag, now = question.tag, self._clock()
        steps = list(WINDOW_SECONDS)
        for step in [question.step] if question.step else steps[steps.index(span.step) :]:
            told = self._all_time(trends.bounds(tag, step), now, step) if span.is_all else _within(span, step)
            parts = told.steps(step)
            points = [
                Point(utc_datetime(part.start * 1000), trends.count(tag, part.buckets())) for part in parts
            ]
            if span.is_all or sum(point.count for point in points) == total:
                return step, points
        message = f"counts by {question.step} are no longer kept for all of this window; say a longer step"
        raise UnknownError("not_kept", message)

    async def lines(self, question: LinesQuestion) -> TagLines:
        """Give several tags over time, side by side.

        Counts come for every step, also where nothing was counted. Where no step is asked for, it is the
        finest that is still kept for the window.
        """
        trends, span = self._index.tenant(question.tenant), asked_span(question, self._clock())
        buckets = self._buckets("window", span)
        tags = tuple(dict.fromkeys(await _meant(trends, question.tag)))
        steps = list(WINDOW_SECONDS)
        for step in [question.step] if question.step else steps[steps.index(span.step) :]:
            parts = [(part, part.buckets()) for part in _within(span, step).steps(step)]
            if not all(self._retained.has(bucket) for _, cover in parts for bucket in cover):
                continue
            return TagLines(
                **provenance(self._freshness, span.as_answered()),
                step=step,
                starts=[utc_datetime(part.start * 1000) for part, _ in parts],
                tags=[
                    TagLine(tag, trends.count(tag, buckets), [trends.count(tag, cover) for _, cover in parts])
                    for tag in tags
                ],
            )
        message = f"counts by {question.step} are no longer kept for all of this window; say a longer step"
        raise UnknownError("not_kept", message)

    async def compare(self, question: CompareQuestion) -> ComparedTags:
        """Put two windows side by side.

        `ratio` is that of the images per hour, so that windows of different length compare. Of a window that
        is not over, only the part that is over counts as time.
        """
        now, trends = self._clock(), self._index.tenant(question.tenant)
        a = question.a.span(now)
        b = a.before(a.seconds, PREVIOUS.name, a.step) if question.b == PREVIOUS else question.b.span(now)
        buckets_a, buckets_b = self._buckets("a", a), self._buckets("b", b)
        counts_a, counts_b = trends.counts(buckets_a), trends.counts(buckets_b)
        scale = b.until(now).seconds / a.until(now).seconds
        if question.tag:
            tags = await _meant(trends, question.tag)
            rows = [(tag, trends.count(tag, buckets_a), trends.count(tag, buckets_b)) for tag in tags]
        else:
            with trends.reading():
                places = await off_loop(trends.best, counts_a + counts_b, question.limit)
                rows = [(trends.tags[place], int(counts_a[place]), int(counts_b[place])) for place in places]
        return ComparedTags(
            **provenance(self._freshness, a.as_answered()),
            b=b.as_answered(),
            tags=[
                ComparedTag(tag, in_a, in_b, in_a / in_b * scale if in_b else None)
                for tag, in_a, in_b in rows
            ],
        )

    async def tags(self, question: TagsQuestion) -> TagList:
        """List all tags that images have, by name, with all-time counts.

        The cursor names the last tag of a page, so pages neither repeat nor skip a tag while counts change.
        Where no tag begins with the prefix, tags whose names in any language do are listed.
        """
        trends = self._index.tenant(question.tenant)
        after = None if question.cursor is None else str(question.cursor[0])
        found = trends.names(question.prefix, after, question.limit + 1)
        if not found and not trends.names(question.prefix, None, 1):
            meant = await off_loop(lambda: TagNames.load().beginning(question.prefix))
            found = trends.counted((tag for tag in meant if after is None or tag > after), question.limit + 1)
        page = found[: question.limit]
        return TagList(
            **provenance(self._freshness),
            tags=[TagCount(tag.tag, tag.uses) for tag in page],
            cursor=encode_cursor([page[-1].tag]) if len(found) > len(page) else None,
        )

    def _buckets(self, name: str, span: Span) -> list[Bucket]:
        """Give the buckets of a span that a parameter asks for, if all of them are kept."""
        buckets = span.buckets()
        self._retained.require(name, span, buckets)
        return buckets

    def _blocks(self, span: Span, now: float) -> list[Block]:
        """Give the blocks that a window is weighed by: one, where its steps are no longer kept."""
        blocks = blocks_of(span, now)
        if all(self._retained.has(bucket) for block in blocks for bucket in block.buckets):
            return blocks
        return [Block(span.buckets(), span.start, span.until(now).end)]

    def _begin(self, trends: TenantTrends) -> int | None:
        """Give where the counts begin, by the day where not all of its hours are kept."""
        begin = trends.begin()
        if begin is None or self._retained.has(Bucket("hour", begin)):
            return begin
        return begin // DAY * DAY

    def _all_time(self, held: tuple[int, int] | None, now: float, step: str) -> Span:
        """Give the part of all time that a series tells point by point.

        It begins with the oldest step that is `held` and kept by every partition. It ends now, or with the
        newest: the clock of an uploader may be ahead.
        """
        length = WINDOW_SECONDS[step]
        oldest, newest = held or (now, now)
        end = (int(max(now, newest)) // length + 1) * length
        start = max(int(oldest) // length * length, end - MAX_POINTS * length)
        starts = range(start, end + 1, length)
        place = bisect_left(starts, True, key=lambda start: self._retained.has(Bucket(step, start)))
        return Span(ALL, starts[min(place, len(starts) - 1)], end, step)


def _by_tag(trends: TenantTrends, counts: Counts) -> dict[str, int]:
    """The counts above zero, by tag. For any thread."""
    return {trends.tags[place]: int(counts[place]) for place in np.flatnonzero(counts).tolist()}


async def _meant(trends: TenantTrends, names: tuple[str, ...]) -> tuple[str, ...]:
    """Tags by their names in any language; what no image has, and no tag is called, stays as it is."""
    names = tuple(trends.as_spelled(name) for name in names)
    strange = {name for name in names if not trends.knows(name)}
    if not strange:
        return names
    return await off_loop(lambda: TagNames.load().meant(names, lambda name: name not in strange))


def _within(span: Span, step: str) -> Span:
    """Give a window itself, where a series can tell it point by point."""
    if span.seconds > MAX_POINTS * WINDOW_SECONDS[step]:
        message = f"step {step!r} makes more than {MAX_POINTS} points of this window; say a longer step"
        raise BadQuestionError("invalid_step", message)
    return span
