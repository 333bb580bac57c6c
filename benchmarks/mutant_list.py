"""The mutants of `make mutants`: lines that keep counts exact, broken, and the tests that must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A patch, and the tests one of which must fail with it.

    Attributes:
        name: What it breaks.
        old: A text that is in the file once.
        new: What takes its place.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_LEDGER, _UNIT = "tests/units/test_ledger.py", "tests/units/test_unit.py"
_ORDER, _RETRIES = "tests/fold/test_precedence.py", "tests/fold/test_retries.py"
_REPLICA, _LOG = "tests/state/test_replica.py", "tests/kafka/test_partition_log.py"
_FOLD = "streams/fold/fold.py"

_FORGOTTEN = "tests/fold/test_forgotten_users.py"

_CUT = "tests/export/test_cut.py"

_TOLD, _RISES = "tests/streams/test_told.py", "tests/rises/test_rise.py"

_RECENT = "tests/fold/trend_rows/test_recent.py"

MUTANTS = (
    Mutant(
        "what waits goes to its buckets twice",
        "streams/fold/trend_rows/recent.py",
        "taken, self.uses, self.n = self.uses, [], 0",
        "taken = self.uses",
        (f"{_RECENT}::test_nothing_is_counted_otherwise_for_waiting",),
    ),
    Mutant(
        "what waits is counted in windows for which it came too late",
        "streams/fold/counts.py",
        "row.add(place.at, place.windows, sources, 1)",
        "row.add(place.at, 7, sources, 1)",
        (f"{_RECENT}::test_what_came_too_late_for_a_bucket_does_not_wait_for_it",),
    ),
    Mutant(
        "what waits stays when a tag's last image goes",
        "streams/fold/counts.py",
        " or full or not has or ",
        " or full or ",
        (f"{_RECENT}::test_what_is_withdrawn_leaves_nothing",),
    ),
    Mutant(
        "what waits is never settled by a sweep",
        "streams/fold/budgets/usage.py",
        "        settle(changes, key, retention)\n",
        "        return\n",
        (f"{_RECENT}::test_a_sweep_settles_what_waits_for_too_long",),
    ),
    Mutant(
        "answers are without what waits",
        "streams/state/trends/counts.py",
        "        if not number and not rows:\n",
        "        if True:\n",
        (f"{_RECENT}::test_questions_have_the_same_answers",),
    ),
    Mutant(
        "a stream keeps tags that were withdrawn",
        "streams/fold/streams/image_tags.py",
        "    for tag in before.keys() - after.keys():\n",
        "    for tag in ():\n",
        (f"{_TOLD}::test_streams_folded_are_the_rows",),
    ),
    Mutant(
        "a stream keeps counts of buckets that are gone",
        "streams/fold/changes.py",
        '        elif table == "trends" and key not in self._counted:\n',
        "        elif False:\n",
        (f"{_TOLD}::test_streams_folded_are_the_rows",),
    ),
    Mutant(
        "a stream that was off is taken for whole",
        "streams/fold/streams/filling.py",
        "            yield Portion(marks={mark: None})\n",
        "            yield Portion()\n",
        (f"{_TOLD}::test_a_stream_that_was_off_is_filled_anew",),
    ),
    Mutant(
        "a rise peaks twice",
        "streams/rises/rise.py",
        "    if not rise.peaked and (ended or",
        "    if (ended or",
        (f"{_RISES}::test_a_rise_that_ends_has_peaked", f"{_RISES}::test_a_rise_from_beginning_to_end"),
    ),
    Mutant(
        "an export may be of the middle of a transaction",
        "streams/export/cut.py",
        "stable if stable == ends else None",
        "stable",
        (f"{_CUT}::test_a_transaction_that_is_ending",),
    ),
    Mutant(
        "an export may be of several moments",
        "streams/export/cut.py",
        "if at_rest is not None and at_rest == before:",
        "if at_rest is not None:",
        (f"{_CUT}::test_a_transaction_between_the_answers_of_two_topics",),
    ),
    Mutant(
        "late events of a forgotten user come in",
        _FOLD,
        "    return is_forgotten(changes, upload, done.record)\n",
        "    return False\n",
        (f"{_FORGOTTEN}::test_nothing_of_a_user_is_left",),
    ),
    Mutant(
        "a forgotten user's new images go as well",
        _FOLD,
        "    if placed(old) >= limit:\n        return False\n",
        "",
        (f"{_FORGOTTEN}::test_what_comes_before_the_sweep_is_new_as_well",),
    ),
    Mutant(
        "a vendor's event has no identity of its own",
        "schemas/sources/translate.py",
        "if change.id is not None and change.source:",
        "if change.id is None:",
        ("tests/sources/test_samples.py::test_sample",),
    ),
    Mutant(
        "an upload topic that sources are copied to is purged",
        "streams/repartition/service.py",
        "        if self._shared.names.inputs:\n            await self._purge.run()\n",
        "        await self._purge.run()\n",
        ("tests/repartition/test_translating.py::test_only_copies_are_purged",),
    ),
    Mutant(
        "fence off",
        "streams/units/ledger.py",
        "            transactional_id=transactional_id,\n",
        "            transactional_id=f'{transactional_id}-{uuid.uuid4()}',\n",
        (f"{_LEDGER}::test_a_new_owner_fences_the_old_one",),
    ),
    Mutant(
        "a retry loses the timestamp",
        "streams/fold/retries.py",
        'timestamp=row["ts"],',
        "timestamp=0,",
        (f"{_RETRIES}::test_the_record_comes_back_as_it_was",),
    ),
    Mutant(
        "catch-up without meta",
        "streams/state/changelogs.py",
        '    state.positions["meta"] = 0  # short, and it tells whose state this is\n',
        "",
        (f"{_REPLICA}::test_a_warm_state_of_other_topics_is_told_by_their_identity",),
    ),
    Mutant(
        "a replica reads what is not committed",
        "streams/state/replica.py",
        "                    consuming(self._connection) as consumer,\n",
        '                    consuming(self._connection, "read_uncommitted") as consumer,\n',
        (f"{_REPLICA}::test_what_is_aborted_is_never_followed",),
    ),
    Mutant(
        "no deadline of a commit",
        "streams/kafka/producers.py",
        "asyncio.timeout(COMMIT_DEADLINE)",
        "asyncio.timeout(None)",
        ("tests/kafka/test_producers.py::test_a_commit_without_an_answer_is_not_waited_for_without_end",),
    ),
    Mutant(
        "no grace for who is fenced",
        "streams/units/unit.py",
        "            await asyncio.sleep(FENCE_GRACE)\n",
        "            await asyncio.sleep(0)\n",
        (f"{_UNIT}::test_a_fenced_unit_leaves_the_word_to_the_group",),
    ),
    Mutant(
        "a grace of no time",
        "streams/units/unit.py",
        "FENCE_GRACE = 4.0",
        "FENCE_GRACE = 0.0",
        ("tests/app/test_owning.py::test_the_group_has_its_say_before_a_fenced_unit_ends_the_process",),
    ),
    Mutant(
        "the partition's clock goes back",
        _FOLD,
        'meta["mark"] = max(int(meta.get("mark", 0)), at)',
        'meta["mark"] = at',
        (f"{_ORDER}::test_one_timestamp_of_the_far_future_ends_no_count",),
    ),
    Mutant(
        "equal times: the place decides nothing",
        "streams/fold/precedence/standing.py",
        "later, behind = mine >= rank(row),",
        "later, behind = mine[0] >= rank(row)[0],",
        (f"{_RETRIES}::test_of_equal_times_the_place_in_the_log_decides",),
    ),
    Mutant(
        "the clamp of the clock is missing",
        _FOLD,
        "        at = min(at, now + MAX_AHEAD_MS)\n",
        "        pass\n",
        (f"{_ORDER}::test_one_timestamp_of_the_far_future_ends_no_count",),
    ),
    Mutant(
        "a forwarded record moves the clock",
        _FOLD,
        "at = record.timestamp if origin is None else origin.at",
        "at = record.timestamp",
        (f"{_ORDER}::test_a_forwarded_record_moves_the_clock_to_when_it_was_published",),
    ),
    Mutant(
        "a forwarded record is lost",
        _FOLD,
        "            changes.emit(forwarded_output(done.record, forwarded, rules.names))\n",
        "            pass\n",
        ("tests/fold/test_forwarding.py",),
    ),
    Mutant(
        "forwarding outside of the transaction",
        "streams/units/ledger.py",
        "own if output.partition is None else output.partition",
        "own",
        ("tests/units/test_ledger.py::test_a_record_that_is_sent_on_is_in_the_transaction",),
    ),
    Mutant(
        "the origin of a forwarded record is dropped",
        "streams/fold/outputs.py",
        "headers = routed_headers(record.headers, Origin(record.place, record.timestamp))",
        "headers = record.headers",
        ("tests/fold/test_forwarding.py",),
    ),
    Mutant(
        "the watermark is one too far",
        "streams/units/ledger.py",
        '"next": next_offset,',
        '"next": next_offset + 1,',
        (f"{_LEDGER}::test_what_was_committed_is_loaded",),
    ),
    Mutant(
        "what is in work counts as folded",
        "streams/units/window.py",
        "        unfinished = [offset for offset, entry in self._entries.items() if entry not in gone]\n",
        "        unfinished = [offset for offset, entry in self._entries.items() if entry in gone]\n",
        ("tests/units/test_window.py",),
    ),
    Mutant(
        "ids are forgotten after eight",
        "streams/fold/precedence/repeats.py",
        "MOST_REMEMBERED = 1000",
        "MOST_REMEMBERED = 8",
        (f"{_ORDER}::test_a_repeat_is_one_however_many_came_between",),
    ),
    Mutant(
        "ids are never forgotten",
        "streams/fold/precedence/repeats.py",
        "        del kept[key]\n",
        "        break\n",
        (f"{_ORDER}::test_what_is_remembered_is_bounded_by_time_and_by_number",),
    ),
    Mutant(
        "the state behind a version is not kept",
        "streams/fold/precedence/standing.py",
        '        return found | {"behind": state_of(old)}\n',
        "        return found\n",
        (f"{_ORDER}::test_versions_and_times_mixed_have_one_winner",),
    ),
    Mutant(
        "what a late event tells is not heard",
        "streams/fold/precedence/tellings.py",
        "        row = _later(row, name, telling)\n    return row\n\n\ndef inherit",
        "        pass\n    return row\n\n\ndef inherit",
        (f"{_ORDER}::test_the_order_in_which_events_are_folded_does_not_matter",),
    ),
    Mutant(
        "a late deletion leaves the edits before it",
        "streams/fold/images.py",
        '    people = new.get("people", {})\n    if _ends_edits(upload):\n',
        '    people = new.get("people", {})\n    if False:\n',
        (f"{_ORDER}::test_the_order_in_which_events_are_folded_does_not_matter",),
    ),
    Mutant(
        "an event time is not held against our clock",
        "schemas/uploads.py",
        "    elif now is not None and moment - now > MAX_AHEAD_OF_US_MS:\n",
        "    elif now is None:\n",
        ("tests/schemas/test_uploads.py::test_kafka_s_own_timestamp_may_be_no_further_ahead",),
    ),
    Mutant(
        "the ends of a catch-up are the last stable offsets",
        "streams/units/ledger.py",
        "ends = await consumer.end_offsets(list(changelog_partitions(",
        "ends = await committed_only.end_offsets(list(changelog_partitions(",
        (f"{_LEDGER}::test_the_ends_of_a_catch_up_are_those_of_the_logs",),
    ),
    Mutant(
        "an open transaction's end is guessed",
        "streams/kafka/last_transaction.py",
        '_UNDECIDED = {"Ongoing", "PrepareEpochFence"}',
        "_UNDECIDED = set[str]()",
        ("tests/kafka/test_last_transaction.py::test_what_is_open_cannot_be_committed_after_the_answer",),
    ),
    Mutant(
        "old state is believed",
        "streams/state/changelogs.py",
        "    if not state.is_older_than(names.trusted_seconds, now):\n        return False\n",
        "    if now:\n        return False\n",
        (f"{_REPLICA}::test_followed_state_that_is_too_old_is_read_anew",),
    ),
    Mutant(
        "a snapshot is as old as its file",
        "streams/state/snapshots.py",
        "identity, saved_at = state.identity, state.fresh_at",
        "identity, saved_at = state.identity, time.time()",
        ("tests/state/test_snapshots.py::test_a_snapshot_is_as_old_as_what_it_holds",),
    ),
    Mutant(
        "positions are ahead of their rows",
        "streams/units/ledger.py",
        "        self._check_positions(offsets)\n        waiting = iter(rows)\n",
        "        self.state.positions |= {t: offsets[self._changelogs[t]] for t, _, _ in rows}\n"
        "        waiting = iter(rows)\n",
        ("tests/state/test_snapshots.py::test_a_snapshot_within_a_large_transaction_lacks_nothing",),
    ),
    Mutant(
        "a gap in the log is not told",
        "streams/kafka/partition_log.py",
        "as_record(messages[0], skipped)",
        "as_record(messages[0], 0)",
        (f"{_LOG}::test_a_gap_that_retention_made_is_told_with_the_next_record",),
    ),
    Mutant(
        "a gap in the log is counted again",
        _FOLD,
        'if record.skipped and changes.get("retries", str(record.offset)) is None:',
        "if record.skipped:",
        (f"{_ORDER}::test_records_that_were_deleted_unread_are_counted_once",),
    ),
    Mutant(
        "a retry's row stays",
        "streams/fold/retries.py",
        '        changes.put("retries", str(record.offset), None)\n',
        "        pass\n",
        (f"{_RETRIES}::test_a_busy_source_costs_no_dead_letter_and_no_count",),
    ),
    Mutant(
        "a deletion is forgotten while an upload waits",
        _FOLD,
        "is_awaited(changes, key := ImageKey.of(upload).encode()):",
        "not (key := ImageKey.of(upload).encode()):",
        (f"{_RETRIES}::test_a_retry_never_brings_a_deleted_image_back",),
    ),
    Mutant(
        "an upload topic that was recreated is taken for the old one",
        "streams/units/ledger.py",
        "        self._check_uploads(uploads)\n",
        "        self._uploads = uploads\n",
        (f"{_LEDGER}::test_an_upload_topic_that_was_recreated_is_refused",),
    ),
    Mutant(
        "a circuit counts failures, not objects",
        "streams/fetch/circuit_breakers.py",
        "dead = len(circuit.objects) >= OPENS_AFTER",
        "dead = circuit.failures >= OPENS_AFTER",
        ("tests/fetch/test_circuit_breakers.py::test_one_bad_object_opens_no_circuit",),
    ),
)
