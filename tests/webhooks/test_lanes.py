"""Whose turn it is, and who waits."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.webhooks.backoff import Backoff
from streams.webhooks.lanes import Lanes, Room, receiver_of
from streams.webhooks.rows import PendingRow

URL = "https://a.example/hook"


def row(sequence: int, asset: str = "koala", url: str = URL, **body: str) -> PendingRow:
    return PendingRow(
        sequence=sequence, since=sequence, kind="upload", cloud="demo", asset=asset, url=url, body=dict(body)
    )


def turns(lanes: Lanes, now: float = 0.0) -> list[int]:
    found = []
    while (turn := lanes.next(now)) is not None:
        found.append(turn.row.sequence)
    return found


def test_an_asset_has_one_notification_under_way() -> None:
    """The second waits until the first is settled, and others do not wait for either."""
    lanes = Lanes(Room())
    lanes.add(first := row(1))
    lanes.add(row(2))
    lanes.add(other := row(3, "bear", "https://b.example/"))
    assert turns(lanes) == [1, 3]
    lanes.settle([other])
    assert turns(lanes) == []
    lanes.settle([first])
    assert turns(lanes) == [2]


def test_a_failure_holds_up_its_own_asset_alone() -> None:
    """What failed comes again when it is due, with the number of its failures, and before its successors."""
    lanes = Lanes(Room())
    lanes.add(first := row(1))
    lanes.add(row(2))
    lanes.add(row(3, "bear"))
    assert turns(lanes) == [1]  # the receiver has not answered yet: one at a time
    lanes.put_off(first, 5.0, failed=True)
    assert turns(lanes) == [3]
    lanes.settle([row(3, "bear")])
    assert lanes.due_in(1.0) == 4.0
    assert turns(lanes, 4.9) == []
    turn = lanes.next(5.0)
    assert turn is not None
    assert (turn.row.sequence, turn.attempts) == (1, 1)


def test_a_receiver_that_answers_gets_more_at_once() -> None:
    """One request at first, and after a failure; as many as there is room for after an answer."""
    lanes = Lanes(Room(at_once=2))
    rows = [row(number, f"asset-{number}") for number in range(6)]
    for each in rows:
        lanes.add(each)
    assert turns(lanes) == [0]
    lanes.answered(rows[0], 0.0)
    lanes.settle([rows[0]])
    assert turns(lanes) == [1, 2]
    lanes.put_off(rows[1], 9.0, failed=True)
    lanes.answered(rows[2], 0.0)
    lanes.settle([rows[2]])
    assert turns(lanes) == [3, 4]


def test_a_receiver_that_is_back_gets_what_waits_at_once() -> None:
    """With its first answer no wait for another try goes on; but not with each answer of one that is sick."""
    lanes = Lanes(Room())
    rows = [row(number, f"asset-{number}") for number in range(4)]
    for each in rows:
        lanes.add(each)
        lanes.next(0.0)
        lanes.put_off(each, 500.0 if each.sequence else 10.0, failed=True)
    assert turns(lanes, 10.0) == [0]
    lanes.answered(rows[0], 10.0)
    lanes.settle([rows[0]])
    assert turns(lanes, 10.0) == [1, 2, 3]
    for each in rows[1:3]:
        lanes.put_off(each, 500.0, failed=True)
    lanes.answered(rows[3], 11.0)
    lanes.settle([rows[3]])
    assert turns(lanes, 11.0) == []
    assert turns(lanes, 500.0) == [1, 2]


def test_receivers_that_hang_leave_turns_to_others() -> None:
    """However much waits for a receiver that never answers, the next one's turn is the next."""
    lanes = Lanes(Room())
    for number in range(1000):
        lanes.add(row(number, f"asset-{number}", "https://hangs.example/"))
    lanes.add(row(2000, "koala"))
    assert turns(lanes) == [0, 2000]


def test_room_is_bounded_for_each_receiver_and_for_all() -> None:
    """A receiver that takes nothing fills its own room, and never that of one that does."""
    lanes = Lanes(Room(per_receiver=2, rows=4))
    for number in range(2):
        lanes.add(row(number, f"asset-{number}", "https://dead.example/"))
    assert not lanes.has_room_for(row(9, url="https://dead.example/other"))
    assert lanes.has_room_for(row(9))
    for number in range(2, 4):
        lanes.add(row(number, f"asset-{number}", "https://dead-2.example/"))
    assert not lanes.must_drain  # nobody would be waited for
    lanes.add(well := row(9))
    lanes.next(0.0)
    lanes.answered(well, 0.0)
    assert lanes.must_drain
    assert lanes.has_room_for(row(9))


def test_what_a_cloud_does_to_a_host_is_in_no_other_clouds_way() -> None:
    """Clouds have hooks at the same host: dead ones of one take neither room nor turns of the other's."""
    lanes = Lanes(Room(per_receiver=2))
    for number in range(2):
        lanes.add(row(number, f"asset-{number}"))
    mine = msgspec.structs.replace(row(9), cloud="other")
    assert not lanes.has_room_for(row(9))
    assert lanes.has_room_for(mine)
    lanes.add(mine)
    assert turns(lanes) == [0, 9]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"])), max_size=40),
    st.lists(st.sampled_from(["ok", "fail", "give up"])),
)
def test_each_lane_keeps_its_order(arrivals: list[tuple[str, str]], ends: list[str]) -> None:
    """Whatever fails and however long: deliveries of one asset to one receiver come in the order of rows."""
    lanes = Lanes(Room(at_once=3))
    for number, (asset, host) in enumerate(arrivals):
        lanes.add(row(number, asset, f"https://{host}.example/"))
    delivered: dict[tuple[str, str, str], list[int]] = {}
    outcomes, now = iter(ends), 0.0
    while len(lanes):
        now += 1.0
        while (turn := lanes.next(now)) is not None:
            end = next(outcomes, "ok")
            if end == "fail":
                lanes.put_off(turn.row, now + 2, failed=True)
                continue
            if end == "ok":
                lanes.answered(turn.row, now)
                delivered.setdefault(turn.row.lane, []).append(turn.row.sequence)
            lanes.settle([turn.row])
    assert all(numbers == sorted(numbers) for numbers in delivered.values())


def test_a_receiver_is_known_by_host_and_port() -> None:
    """Paths and credentials tell no receivers apart; what is no URL is its own."""
    assert receiver_of("https://u:p@A.example:8443/x") == receiver_of("http://a.example:8443/y?z")
    assert receiver_of("https://[") == "https://["


def test_waits_grow_to_a_limit() -> None:
    """Each wait is about twice the one before, up to the longest; the budget ends them."""
    backoff = Backoff(first=1.0, longest=60.0, budget=3600.0)
    waits = [backoff.wait(7, attempt) for attempt in range(1, 12)]
    for attempt, wait in enumerate(waits):
        whole = min(2.0**attempt, 60.0)
        assert whole / 2 <= wait <= whole
    assert not backoff.gives_up(3599)
    assert backoff.gives_up(3600)
