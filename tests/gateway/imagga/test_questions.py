"""What calls for tags ask for, and what they are told."""

from typing import Any

import pytest

from schemas.results import ScoredTag
from streams.gateway.imagga.answers import tags_of
from streams.gateway.imagga.questions import TagsQuestion, read_question
from streams.gateway.imagga.usage import Usage
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import BadCallError, UnknownAssetError
from streams.tag.looking import Look

OFFERED = ("imagga_tagging", "scene_tagging")
LOOK = Look(
    {"imagga_tagging": [ScoredTag("koala", 0.98764), ScoredTag("animal", 0.4), ScoredTag("x", 0.069)]}
)


def question(*pairs: tuple[str, str], tagger: str | None = None, with_file: bool = True) -> TagsQuestion:
    fields = Fields.of_pairs(pairs)
    return read_question(fields, OFFERED, ["imagga_tagging"], tagger, with_file=with_file)


def told(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    tags: list[dict[str, Any]] = tags_of(LOOK, question(*pairs))["tags"]
    return tags


def test_confidences_are_per_cent() -> None:
    """From 0 to 100 with two decimals, best first, and nothing below 7."""
    assert told() == [
        {"confidence": 98.76, "tag": {"en": "koala"}},
        {"confidence": 40.0, "tag": {"en": "animal"}},
    ]


def test_limit_and_threshold_cut_the_end_off() -> None:
    """As Go and curl send them; -1 is no limit."""
    assert len(told(("limit", "1"))) == 1
    assert len(told(("limit", "-1"))) == 2
    assert len(told(("threshold", "40.000000"))) == 2
    assert len(told(("threshold", "40.1"))) == 1


@pytest.mark.parametrize("form", [[("language", "en,de")], [("language[]", "en"), ("language[]", "de")]])
def test_tags_are_named_in_each_language(form: list[tuple[str, str]]) -> None:
    """One key per language that is asked for, and no other."""
    assert told(*form)[1]["tag"] == {"en": "animal", "de": "Tier"}
    assert told(("language", "de"))[1]["tag"] == {"de": "Tier"}
    assert told(("language", "de"))[0]["tag"] == {"de": "Koala"}


def test_verbose_tells_where_a_tag_is_from() -> None:
    """All are from the picture itself."""
    assert {each["origin"] for each in told(("verbose", "1"))} == {"recognition"}


def test_a_path_names_a_tagger() -> None:
    """An add-on by its name; others are not there."""
    assert question(tagger="scene_tagging").add_ons == ("scene_tagging",)
    assert question().add_ons == ("imagga_tagging",)
    with pytest.raises(UnknownAssetError, match="no tagger nobody; there are imagga_tagging, scene_tagging"):
        question(tagger="nobody")


@pytest.mark.parametrize(
    ("pairs", "with_file", "message"),
    [
        ([], False, "No image is given"),
        ([("image_url", "http://a/")], True, "More than one image"),
        ([("image_url", "http://a/"), ("image_upload_id", "b")], False, "More than one image"),
        ([("limit", "-2")], True, "limit"),
        ([("limit", "many")], True, "limit"),
        ([("limit", "1001")], True, "limit"),
        ([("threshold", "101")], True, "threshold"),
        ([("threshold", "nan")], True, "threshold"),
        ([("threshold", "-0.1")], True, "threshold"),
        ([("threshold", "٣")], True, "threshold"),
        ([("language", "en,klingon")], True, "language: use some of en"),
        ([("language", ",".join(["en"] * 51))], True, "at most 50"),
        ([("decrease_parents", "maybe")], True, "decrease_parents"),
    ],
)
def test_what_breaks_a_rule_is_refused(pairs: list[tuple[str, str]], with_file: bool, message: str) -> None:  # noqa: FBT001 - pytest's
    """With the name of the parameter, and what it may be."""
    with pytest.raises(BadCallError, match=message):
        question(*pairs, with_file=with_file)


def test_usage_counts_calls_and_images() -> None:
    """By day, week and month; the month begins anew."""
    now = [1_764_460_800.0]  # Sunday, 2025-11-30
    usage = Usage(lambda: now[0])
    with usage.call("demo") as processed:
        processed()
        assert usage.of("demo", 8)["concurrency"] == {"max": 8, "now": 1}
    with usage.call("demo"):
        pass
    found = usage.of("demo", 8)
    assert (found["daily"], found["daily_processed"]) == ({"2025-11-30": 2}, 1)
    assert (found["weekly"], found["monthly"]) == ({"2025-11-24": 2}, {"2025-11-01": 2})
    assert (found["monthly_requests"], found["monthly_processed"], found["total_processed"]) == (2, 1, 1)
    now[0] += 86_400
    found = usage.of("demo", 8)
    assert (found["daily"], found["weekly_requests"], found["monthly_requests"]) == ({}, 0, 0)
    assert found["billing_period_start"] == "2025-12-01T00:00:00+00:00"
    assert found["billing_period_end"] == "2026-01-01T00:00:00+00:00"
    assert (found["total_processed"], found["last_usage"]) == (1, 1_764_460_800)
    assert usage.of("other", 8)["daily"] == {}
