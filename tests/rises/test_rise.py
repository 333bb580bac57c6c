"""Rises of tags, from counts alone: when one begins, is at its height and ends; watchlists."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from support.fakes import RULES, done, record, upload
from support.judge.rises import expected_trends

from schemas.errors import SettingsError
from schemas.streams.records import STREAMS, Trend
from schemas.topics import TopicNames
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.streams.tag_counts import Share
from streams.fold.streams.told import told
from streams.rises.counts import ReadCounts
from streams.rises.judging import Asked, judge
from streams.rises.rise import Figures, Rise, begin, go_on
from streams.rises.watchlists import Watchlist, Watchlists
from streams.rises.windows import WINDOWS
from streams.state.partition import PartitionState

NAMES = TopicNames("app", streams=STREAMS)
BEGIN = 1_700_002_800  # a full hour
HOUR, MINUTE, DAY_MS = 3600, 60, 86_400_000


class Counted:
    """Counts of one partition as the stream tells them, and what rises by them."""

    def __init__(self, watchlists: Watchlists = Watchlists()) -> None:  # noqa: B008 - it is frozen
        self.records: list[ConsumerRecord] = []
        self.rises: dict[tuple[str, str], Rise] = {}
        self.told: list[Trend] = []
        self._counts = ReadCounts([0])
        self._state = PartitionState(0)
        self._watchlists = watchlists
        self._number = 0

    def use(
        self, tag: str, minute: int, users: Sequence[str], tenant: str | None = None, *, days_old: int = 0
    ) -> None:
        """Let images be uploaded in a minute, one by each user; told so many days later."""
        for user in users:
            self._number += 1
            name, now = f"i{self._number}", (BEGIN + minute * MINUTE) * 1000
            one = upload(name, f"e{self._number}", at=now - days_old * DAY_MS, user_id=user, tenant=tenant)
            event = replace(done(self._number, one, **{tag: 0.9}), record=record(self._number, timestamp=now))
            changes = Changes(self._state.rows)
            fold(changes, event, RULES)
            for table, key, value in list(changes.encoded()):
                self._state.apply(table, key, value)
            for output in told(changes, NAMES, Share(0, self._state.stream_time)):
                if output.topic == NAMES.tag_counts:
                    self._take(output.key, output.value)

    def _take(self, key: bytes | None, value: bytes | None) -> None:
        offset = len(self.records)
        self.records.append(ConsumerRecord("t", 0, offset, 0, 0, key, value, None, 0, 0, ()))
        self._counts.take(self.records[-1])

    def judge(self, minute: int) -> None:
        """Judge the hour before a minute."""
        for tenant, trends in self._counts.tenants.items():
            mine = {tag: rise for (whose, tag), rise in self.rises.items() if whose == tenant}
            moment = BEGIN + minute * MINUTE
            asked = Asked(tenant, self._watchlists.of(tenant), WINDOWS["1h"], moment)
            with trends.reading():
                steps = judge(asked, trends, mine)
            for tag, step in sorted(steps.items()):
                self.told += step.told
                self.rises.pop((tenant, tag), None)
                if step.rise is not None:
                    self.rises[tenant, tag] = step.rise

    @property
    def phases(self) -> list[tuple[str, str]]:
        return [(trend.tag, trend.phase.value) for trend in self.told]


def users(number: int) -> list[str]:
    return [f"u{each}" for each in range(number)]


def test_a_rise_from_beginning_to_end() -> None:
    """Told three times; the height is that of the window with most uses; as computed offline."""
    counted = Counted()
    for minute in range(0, 300, 2):
        counted.use("sea", minute, users(1))
    for minute in range(130, 150):
        counted.use("koala", minute, users(4))
    for minute in range(60, 301):
        counted.judge(minute)
    assert counted.phases == [("koala", f"trend.{phase}") for phase in ("began", "peaked", "ended")]
    began, peaked, ended = counted.told
    assert began.rise == peaked.rise == ended.rise
    assert (peaked.observed, peaked.uploaders) == (80, 4)
    assert peaked.at < peaked.told_at <= ended.at
    assert_computed_offline(counted)


def assert_computed_offline(counted: Counted) -> None:
    """Check that what was told of minutes 60 to 300 is what plain arithmetic says."""
    progress = {"first": BEGIN + 60 * MINUTE, "judged": BEGIN + 300 * MINUTE, "offsets": {"0": 10**9}}
    must = expected_trends(counted.records, [progress])
    assert [(each["phase"], each["at"], each["observed"], each["score"]) for each in must] == [
        (trend.phase.value, trend.at, trend.observed, trend.score) for trend in counted.told
    ]


def test_the_past_begins_with_the_first_image_though_its_hour_is_not_kept() -> None:
    """A tenant whose images go back to a year ago is known for longer than the baseline is long."""
    counted = Counted()
    counted.use("sea", 0, users(1), days_old=365)
    counted.use("koala", 10, users(1))
    for minute in range(0, 300, 2):
        counted.use("sea", minute, users(1))
    for minute in range(130, 150):
        counted.use("koala", minute, users(4))
    for minute in range(60, 301):
        counted.judge(minute)
    assert ("koala", "trend.began") in counted.phases
    assert_computed_offline(counted)


def test_one_persons_burst_is_no_rise() -> None:
    """Nor is what is used as often as ever, nor anything as long as nothing is known of the past."""
    counted = Counted()
    for minute in range(200):
        counted.use("sea", minute, users(2))
    for minute in range(130, 150):
        counted.use("mine", minute, ["ann"] * 4)
    for minute in range(1, 200):
        counted.judge(minute)
    assert counted.told == []


def test_a_tenant_hears_of_what_is_on_its_watchlist() -> None:
    """In any case, by patterns; others hear of all; a list may want a higher score."""
    lists = Watchlists({"acme": Watchlist(("KOALA*",)), "high": Watchlist(("*",), least_score=1e6)})
    counted = Counted(lists)
    for tenant in ("acme", "high", "other"):
        counted.use("sea", 0, users(3), tenant)
        for tag in ("koala bear", "kite"):
            counted.use(tag, 150, users(9), tenant)
    counted.judge(151)
    assert {(trend.tenant, trend.tag) for trend in counted.told} == {
        ("acme", "koala bear"),
        ("other", "koala bear"),
        ("other", "kite"),
    }


def test_a_rise_that_ends_has_peaked() -> None:
    """Also where it ends at once; and one that has peaked peaks no second time."""
    rise = begin("", "koala", Figures(9, 1.0, 64.0, 5), 60, "1h").rise
    assert rise is not None
    gone = go_on(rise, Figures(1, 1.0, 0.0, 1), 120, "1h")
    assert [trend.phase.value for trend in gone.told] == ["trend.peaked", "trend.ended"]
    assert gone.rise is None
    less = go_on(rise, Figures(7, 1.0, 36.0, 5), 120, "1h")
    assert [trend.phase.value for trend in less.told] == ["trend.peaked"]
    assert less.rise is not None
    more = go_on(less.rise, Figures(20, 1.0, 361.0, 5), 180, "1h")
    assert more.told == []
    assert more.rise == less.rise


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[tenants.acme]", "tags"),
        ('[tenants.acme]\ntags = "cat"', "array"),
        ('[tenants.acme]\ntags = ["cat"]\nleast_score = 0', ">= 1"),
        ('[tenant.acme]\ntags = ["cat"]', "tenant"),
        ("[tenants", "end of document"),
    ],
)
def test_a_bad_file_of_watchlists_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    """The message names the file, the rule, and what one looks like."""
    path = tmp_path / "lists.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=rule) as caught:
        Watchlists.read(path)
    assert "[tenants.acme]" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_watchlists(tmp_path: Path) -> None:
    """Tags and the least score of each tenant; of the others there is none."""
    path = tmp_path / "lists.toml"
    path.write_text('[tenants.""]\ntags = ["caf\u00e9", "dog?"]\nleast_score = 25\n', encoding="utf-8")
    lists = Watchlists.read(path)
    assert lists.of("").least_score == 25
    assert [lists.of("").has(tag) for tag in ("Cafe\u0301", "dogs", "dog", "cat")] == [
        True,
        True,
        False,
        False,
    ]
    assert lists.of("acme").has("cat")
    with pytest.raises(SettingsError, match="create the file"):
        Watchlists.read(tmp_path / "none.toml")
