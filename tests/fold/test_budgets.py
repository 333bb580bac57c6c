"""Budgets of tenants: what is beyond them is a dead letter, and what each has is exact whatever happens."""

import functools
from collections import Counter
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import fakes
from support.fakes import NAMES, RULES, done, edit, record, tagged, upload

from schemas.uploads import UploadType
from streams.fold.budgets.limits import Budgets
from streams.fold.budgets.usage import TENANT, remove_expired
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Done, Output
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy
from streams.state.partition import PartitionState

DAY = 86_400_000


def rules_with(**budgets: int) -> FoldRules:
    return FoldRules(NAMES, RULES.retention, RULES.retries, Budgets(**budgets))


def usage(state: PartitionState, tenant: str = "") -> dict[str, int]:
    row = state.rows["meta"].get(TENANT + tenant)
    return orjson.loads(row) if row else {}


def refusals(outputs: list[Output]) -> list[str]:
    """The messages of dead letters."""
    letters = [dict(output.headers) for output in outputs if output.topic == NAMES.dead_letters]
    assert all(headers["tagstream.reason"] == b"over_budget" for headers in letters)
    return [headers["__connect.errors.exception.message"].decode() for headers in letters]


def put(offset: int, public_id: str, *tags: str, **more: object) -> Done:
    """An upload of an image with tags of its own."""
    return done(offset, upload(public_id, f"e{offset}", tags=list(tags), at=3_600_000 + offset, **more))


def delete(offset: int, public_id: str, **more: object) -> Done:
    return done(
        offset,
        upload(public_id, f"e{offset}", kind=UploadType.DELETED, at=3_600_000 + offset, **more),
    )


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ({"tags": 3}, "4 different tags in this partition, and may have 3 (TAGSTREAM_TENANT_TAGS)"),
        ({"images": 1}, "2 images in this partition, and may have 1 (TAGSTREAM_TENANT_IMAGES)"),
        ({"image_tags": 1}, "2 tags of one image, and may have 1 (TAGSTREAM_IMAGE_TAGS)"),
        ({"daily_bytes": 9}, "10 bytes of events of this day in this partition, and may have 9"),
    ],
)
def test_what_is_beyond_a_budget_is_a_dead_letter(budgets: dict[str, int], said: str) -> None:
    """The message names tenant, amount, budget, setting and cure; nothing of the event is in the state."""
    state, rules = PartitionState(0), rules_with(**budgets)
    first = put(0, "a", *(["sea"] if "image_tags" in budgets else ["sea", "sky"]))
    assert refusals(fakes.apply(state, first, rules)) == []
    before = {table: dict(rows) for table, rows in state.rows.items() if table != "meta"}
    outputs = fakes.apply(state, put(1, "b", "dog", "cat"), rules)
    (message,) = refusals(outputs)
    assert "the default tenant would have" in message
    assert said in message
    assert "and replay" in message
    assert len(outputs) == 1
    assert {table: dict(rows) for table, rows in state.rows.items() if table != "meta"} == before


def test_one_tenant_too_many() -> None:
    """Those that are there go on; one that has no image any more makes room for another."""
    state, rules = PartitionState(0), rules_with(tenants=2)
    for offset, tenant in enumerate(("acme", "beta")):
        assert refusals(fakes.apply(state, put(offset, "a", "sea", tenant=tenant), rules)) == []
    (message,) = refusals(fakes.apply(state, put(2, "a", "sea", tenant="late"), rules))
    assert "the tenant 'late' would have 3 tenants beside it, itself included" in message
    assert refusals(fakes.apply(state, put(3, "b", "sky", tenant="acme"), rules)) == []
    forgetting = FoldRules(NAMES, Retention(1, 31, 800, 365, deleted=0), RetryPolicy(), rules.budgets)
    fakes.apply(state, delete(4, "a", tenant="beta"), forgetting)
    expire(state, "a\x1fbeta")
    assert usage(state, "beta") == {}
    assert refusals(fakes.apply(state, put(5, "a", "sea", tenant="late"), rules)) == []


def expire(state: PartitionState, key: str) -> None:
    """Sweep a deleted image's row."""
    changes = Changes(state.rows)
    remove_expired(changes, RULES.retention, "images", key, state.rows["images"][key])
    for table, changed, row in changes.encoded():
        state.apply(table, changed, row)


def test_one_tenant_s_budget_is_no_other_s() -> None:
    """What one has used up leaves the others theirs."""
    state, rules = PartitionState(0), rules_with(tags=2)
    for offset, tenant in enumerate(("acme", "beta", None)):
        assert refusals(fakes.apply(state, put(offset, "a", "sea", "sky", tenant=tenant), rules)) == []


def test_what_gives_back_is_never_refused() -> None:
    """At its budget an image may still change its tags for as many others, lose some, or go."""
    state, rules = PartitionState(0), rules_with(tags=2, images=1, daily_bytes=100)
    apply = functools.partial(fakes.apply, state, rules=rules)
    for event in (put(0, "a", "sea", "sky"), put(1, "a", "dog", "cat"), put(2, "a", "dog"), delete(3, "a")):
        assert refusals(apply(event)) == []
    assert usage(state)["tags"] == 0
    assert refusals(apply(put(4, "a", "sea", "sky"))) == []


def test_edits_and_new_looks_count_too() -> None:
    """A person's tag that nobody has yet is one more; the edit that is too much is refused whole."""
    state, rules = PartitionState(0), rules_with(tags=2)
    fakes.apply(state, put(0, "img", "sea"), rules)
    assert refusals(fakes.apply(state, done(1, edit("e1", added=["sky"])), rules)) == []
    (message,) = refusals(fakes.apply(state, done(2, edit("e2", at=7_300_000, added=["dog"])), rules))
    assert "3 different tags" in message
    assert usage(state)["tags"] == 2


def test_a_new_day_has_a_new_budget_of_bytes() -> None:
    """Days are those of the partition's clock: Kafka's, as far as it was read."""
    state, rules = PartitionState(0), rules_with(daily_bytes=8)
    first, second, third = (
        Done(record(offset, timestamp=at), tagged(upload("a", f"e{offset}", at=3_600_000 + offset), sea=0.9))
        for offset, at in enumerate((DAY, DAY + 1, 2 * DAY))
    )
    assert refusals(fakes.apply(state, first, rules)) == []
    assert "10 bytes" in refusals(fakes.apply(state, second, rules))[0]
    assert refusals(fakes.apply(state, third, rules)) == []
    assert usage(state)["bytes"] == 5


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["acme", "beta"]),
        st.lists(st.sampled_from(["sea", "sky", "dog", "cat"]), unique=True) | st.none(),
    ),
    max_size=12,
)


@given(EVENTS, st.sampled_from([{}, {"tags": 2}, {"images": 1}, {"tenants": 1}]))
def test_what_tenants_have_is_exact(
    events: list[tuple[str, str, list[str] | None]], budgets: Mapping[str, int]
) -> None:
    """After any events what a tenant has is what its rows say, and never beyond its budget."""
    state, rules = PartitionState(0), rules_with(**budgets)
    for offset, (public_id, tenant, tags) in enumerate(events):
        event = (
            delete(offset, public_id, tenant=tenant)
            if tags is None
            else put(offset, public_id, *tags, tenant=tenant)
        )
        fakes.apply(state, event, rules)
    images = Counter(key.partition("\x1f")[2] for key in state.rows["images"])
    tags_of = Counter(key.partition("\x1f")[2] for key in state.rows["trends"] if key.startswith("all:"))
    found = {tenant: usage(state, tenant) for tenant in ("acme", "beta") if usage(state, tenant)}
    assert {tenant: used["images"] for tenant, used in found.items()} == dict(images)
    assert {tenant: used["tags"] for tenant, used in found.items() if used["tags"]} == dict(tags_of)
    assert orjson.loads(state.rows["meta"].get("@offset", b"{}")).get("tenants", 0) == len(found)
    assert all(count <= budgets.get("tags", count) for count in tags_of.values())
