"""Numbers of tags: as many as there are tags, whatever comes and goes; never two meanings for who reads."""

import contextlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.state.trends.tag_numbers import TagNumbers


def add(numbers: TagNumbers, name: str) -> int:
    number = numbers.number(name)
    numbers.note(number, 1)
    return number


def remove(numbers: TagNumbers, name: str) -> None:
    numbers.note(numbers.ids[name], -1)


def test_names_that_come_and_go_take_no_more_room_than_those_that_live() -> None:
    """A thousand rounds of a hundred new tags each need a hundred numbers."""
    numbers = TagNumbers()
    for turn in range(1000):
        names = [f"{turn}-{tag}" for tag in range(100)]
        for name in names:
            add(numbers, name)
        assert {numbers.names[numbers.ids[name]] for name in names} == set(names)
        for name in names:
            remove(numbers, name)
    assert len(numbers.names) == 100
    assert numbers.ids == {}
    assert set(numbers.names) == {""}


def test_a_number_means_one_tag_to_who_reads() -> None:
    """What is let go while somebody reads is not used again before they have ended."""
    numbers = TagNumbers()
    sea = add(numbers, "sea")
    with numbers.reading():
        remove(numbers, "sea")
        with numbers.reading():
            assert add(numbers, "sky") != sea
        assert add(numbers, "dog") != sea
        assert numbers.names[sea] == "sea"
    assert add(numbers, "cat") == sea


def test_readers_without_end_do_not_keep_everything() -> None:
    """Where one reading begins before another ends, what was let go before either is used again."""
    numbers, previous = TagNumbers(), contextlib.ExitStack()
    for turn in range(100):
        current = contextlib.ExitStack()
        current.enter_context(numbers.reading())
        previous.close()
        add(numbers, f"tag {turn}")
        remove(numbers, f"tag {turn}")
        previous = current
    assert len(numbers.names) <= 3


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())))
def test_tags_with_rows_have_different_numbers(steps: list[tuple[str, bool]]) -> None:
    """Each tag that has rows has a number of its own, which keeps its name; others have none."""
    numbers, rows = TagNumbers(), dict.fromkeys("abcdef", 0)
    for name, more in steps:
        if more:
            add(numbers, name)
            rows[name] += 1
        elif rows[name]:
            remove(numbers, name)
            rows[name] -= 1
        living = [name for name, count in rows.items() if count]
        assert sorted(numbers.ids) == living
        assert len(set(numbers.ids.values())) == len(living)
        assert all(numbers.names[numbers.ids[name]] == name for name in living)


def test_rows_that_come_at_once() -> None:
    """A partition that is loaded names its tags together, with how many rows each has."""
    numbers = TagNumbers()
    given_numbers = numbers.numbers(["sea", "sky"])
    numbers.note_many(given_numbers, np.array([2, 1]))
    remove(numbers, "sea")
    remove(numbers, "sky")
    assert list(numbers.ids) == ["sea"]
