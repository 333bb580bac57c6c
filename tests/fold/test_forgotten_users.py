"""Users who are forgotten: all that was published of them before is gone, and counts are as without them."""

from collections.abc import Iterable

import orjson
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import NAMES, apply, done, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.origins import Origin, TopicPartitionOffset, origin_headers
from schemas.topics import OFFSET_KEY
from schemas.uploads import UploadType
from streams.fold.erasure.finding import AT_ONCE, find_rows
from streams.fold.erasure.marks import HEADER, MARK, Step, step_of
from streams.fold.outcomes import Deferred, Done, ForgottenUser, Output, Rejected
from streams.state.partition import PartitionState

FAULT = Fault("http_503", "fetch", True, "SourceBusyError", "status 503")


def asked(event_id: str = "f1", user: str = "ann", **data: object) -> ForgottenUser:
    event = upload("", event_id, kind=UploadType.FORGOTTEN, user_id=user, by="officer", **data)
    return ForgottenUser(event, others=(1, 2))


def swept(
    state: PartitionState, outputs: Iterable[Output], user: str = "ann", offset: int = 500
) -> list[Output]:
    """Do what the sweeps ask for that are among some outputs, until none is left."""
    left, told = [output for output in outputs if is_sweep(output)], []
    while left:
        sweep, found = left.pop(), find_rows(state.rows, "", user)
        keys = (found.images, found.retries, found.interests)
        outcome = ForgottenUser(asked(user=user).upload, keys=keys, more=found.more)
        outputs = apply(state, Done(record(offset, headers=sweep.headers), outcome))
        told += [output for output in outputs if not is_sweep(output)]
        left += [output for output in outputs if is_sweep(output)]
        offset += 1
    return told


def is_sweep(output: Output) -> bool:
    return step_of(output.headers) is Step.SWEEP


def forget(state: PartitionState, offset: int, event_id: str = "f1", user: str = "ann") -> list[Output]:
    return swept(state, apply(state, Done(record(offset), asked(event_id, user))), user)


def without_marks(state: PartitionState) -> dict[str, dict[str, object]]:
    """The rows that count, without the clock and without marks."""
    return {
        table: {
            key: {name: value for name, value in orjson.loads(row).items() if name not in {"o", "u"}}
            for key, row in rows.items()
            if not key.startswith((MARK, OFFSET_KEY, "@tenant:"))
        }
        for table, rows in state.rows.items()
    }


def test_the_event_is_spread_and_swept_behind() -> None:
    """Whoever has it first tells every other partition, and each goes on by itself."""
    state = PartitionState(0)
    outputs = apply(state, Done(record(7, b'{"user_id":"ann"}'), asked()))
    assert [(output.partition, step_of(output.headers)) for output in outputs] == [
        (1, Step.SPREAD),
        (2, Step.SPREAD),
        (None, Step.SWEEP),
    ]
    assert {(output.topic, output.value) for output in outputs} == {(NAMES.upload_log, b'{"user_id":"ann"}')}
    spread = record(3, headers=[(HEADER, b"spread")])
    assert [*map(is_sweep, apply(PartitionState(1), Done(spread, asked())))] == [True]


def test_nothing_of_a_user_is_left() -> None:
    """Images, interests, what waits, and what comes in late; a tag-update tells that tags went."""
    state = PartitionState(0)
    apply(state, done(1, upload("a", "e1", user_id="ann"), koala=0.9))
    apply(state, done(2, upload("b", "e2", user_id="bob"), koala=0.9))
    waiting = upload("w", "e3", user_id="ann")
    value = b'{"public_id":"w","url":"http://h/w","user_id":"ann"}'
    apply(state, Done(record(3, value), Deferred(FAULT, 1000, None, waiting)))
    told = forget(state, 9)
    assert [output.topic for output in told] == [NAMES.tag_updates]
    assert apply(state, done(4, upload("late", "e4", user_id="ann"), koala=0.9)) == []
    assert apply(state, Done(record(3, value), Rejected(FAULT, waiting))) == []
    assert set(state.rows["images"]) == {"b"}
    assert state.rows["retries"] == {}
    assert all(b"ann" not in row and "ann" not in key for key, row in state.rows["interests"].items())
    kept = b"".join(b"".join(rows.values()) + repr([*rows]).encode() for rows in state.rows.values())
    assert b"ann" not in kept.replace(b'"channel"', b"")
    (row,) = (orjson.loads(row) for key, row in state.rows["meta"].items() if key.startswith(MARK))
    assert row["by"] == "officer"


def test_what_comes_after_the_event_is_new() -> None:
    """A user who comes back is a user as any; a second delivery of the event forgets nothing of that."""
    state = PartitionState(0)
    apply(state, done(1, upload("a", "e1", user_id="ann"), koala=0.9))
    forget(state, 9)
    apply(state, done(10, upload("a", "e5", user_id="ann", at=7_200_000), koala=0.9))
    assert forget(state, 11) == []
    assert set(state.rows["images"]) == {"a"}
    forget(state, 12, "f2")
    assert state.rows["images"] == {}


def test_what_comes_before_the_sweep_is_new_as_well() -> None:
    """The event's place in the log divides, whenever its sweep has its turn."""
    state = PartitionState(0)
    apply(state, done(1, upload("old", "e1", user_id="ann"), koala=0.9))
    outputs = apply(state, Done(record(9), asked()))
    apply(state, done(10, upload("new", "e2", user_id="ann"), koala=0.9))
    swept(state, outputs)
    assert set(state.rows["images"]) == {"new"}
    (interests,) = (orjson.loads(row)["t"] for row in state.rows["interests"].values())
    assert interests == {"koala": 1}


def test_what_was_sent_on_late_was_published_before() -> None:
    """A copy from another partition has a later place here: when it was published decides."""
    state = PartitionState(0)
    apply(state, Done(record(9, timestamp=5_000), asked()))
    for published, images in ((4_999, 0), (5_001, 1)):
        origin = Origin(TopicPartitionOffset("image.uploads", 3, 2), published)
        copy = record(20 + published, headers=origin_headers(origin))
        apply(state, Done(copy, tagged(upload("a", f"e{published}", user_id="ann"), koala=0.9)))
        assert len(state.rows["images"]) == images


def test_other_tenants_users_of_that_name_stay() -> None:
    """A user is one of a tenant."""
    state = PartitionState(0)
    apply(state, done(1, upload("a", "e1", user_id="ann", tenant="acme"), koala=0.9))
    forget(state, 9)
    assert len(state.rows["images"]) == 1


def test_many_images_go_some_at_a_time() -> None:
    """No transaction grows with what a user has."""
    state = PartitionState(0)
    for number in range(AT_ONCE + 5):
        apply(state, done(number, upload(f"i{number}", f"e{number}", user_id="ann"), koala=0.9))
    first = apply(state, Done(record(400), asked()))
    assert len(find_rows(state.rows, "", "ann").images) == AT_ONCE
    assert len(swept(state, first)) == AT_ONCE + 5
    assert state.rows["images"] == {}


uploads = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from([{"koala": 0.9}, {"koala": 0.9, "sea": 0.8}, {}]),
        st.integers(1, 40),
    ),
    max_size=12,
)


@given(uploads)
def test_counts_are_those_of_a_world_without_the_user(
    events: list[tuple[str, str | None, dict, int]],
) -> None:
    """Law: with images that are one user's each, all rows but sketches are as if that one had never been."""
    state, other = PartitionState(0), PartitionState(0)
    for offset, (image, user, tags, hour) in enumerate(events):
        event = upload(f"{image}-{user}", f"e{offset}", user_id=user, at=hour * 3_600_000)
        apply(state, done(offset, event, **tags))
        if user != "ann":
            apply(other, done(offset, event, **tags))
    forget(state, 100)
    found, wanted = without_marks(state), without_marks(other)
    for table in ("images", "interests", "retries"):
        assert found[table] == wanted[table]
    shown = [
        {key: (row["n"], row["by"]) for key, row in world["trends"].items() if row["n"]}
        for world in (found, wanted)
    ]
    assert shown[0] == shown[1]
