"""The checker of histories finds every kind of lie it is there for: one is planted in a true history at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.history import APPLIED, REFUSED, UNKNOWN, Entry, Read, Write, faults_of

MODEL = "projects/p/models/m"
PRODUCTION = (MODEL, "production")
START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(revision, holder, before=0):
    stages = {(MODEL, holder): "production"} | ({(MODEL, before): "archived"} if before else {})
    return Entry(revision, f"r{revision}", START + timedelta(seconds=revision), {PRODUCTION: holder}, stages)


def write(revision, began, ended, outcome=APPLIED):
    acknowledged = revision if outcome == APPLIED else 0
    return Write(client=1, request_id=f"r{revision}", began=began, ended=ended, outcome=outcome, revision=acknowledged)


def read(began, revision, pointer_revision, number, **fields):
    return Read(
        client=1,
        pointer=PRODUCTION,
        began=began,
        ended=began + 0.5,
        number=number,
        pointer_revision=pointer_revision,
        revision=revision,
        **fields,
    )


def true_history():
    """Three promotions in turn, the second of unknown outcome, one that was refused, and reads between them."""
    log = [entry(1, 1), entry(2, 2, 1), entry(3, 1, 2)]
    writes = [write(1, 0, 1), write(2, 2, 3, UNKNOWN), write(3, 4, 5), write(9, 6, 7, REFUSED)]
    reads = [read(1.2, 1, 1, 1), read(3.2, 1, 2, 2), read(5.2, 3, 3, 1, min_revision=2), read(9, 3, 3, 1)]
    return log, writes, reads


def test_a_true_history_has_no_faults():
    assert faults_of(*true_history()) == []


def second_effect(log, writes, reads):
    log.append(replace(entry(4, 2, 1), request_id="r2"))


def gap(log, writes, reads):
    log[2] = replace(log[2], revision=4)
    writes[2] = replace(writes[2], revision=4)
    reads[2:] = [replace(each, revision=4, pointer_revision=4) for each in reads[2:]]


def clock_back(log, writes, reads):
    log[2] = replace(log[2], time=START)


def lost(log, writes, reads):
    log.pop()


def elsewhere(log, writes, reads):
    writes[0] = replace(writes[0], revision=2)


def refused_but_done(log, writes, reads):
    log.append(replace(entry(4, 2, 1), request_id="r9"))


def out_of_order(log, writes, reads):
    writes[2] = replace(writes[2], began=-2, ended=-1)


def unknown_out_of_order(log, writes, reads):
    writes[1] = replace(writes[1], began=6, ended=7)


def two_holders(log, writes, reads):
    del log[1].stages[MODEL, 1]


def no_holder(log, writes, reads):
    log[1].stages[MODEL, 2] = "archived"


def wrong_answer(log, writes, reads):
    reads[2] = replace(reads[2], number=2)


def old_answer(log, writes, reads):
    reads[2] = replace(reads[2], pointer_revision=2, number=2)


def from_the_future(log, writes, reads):
    reads[0] = replace(reads[0], pointer_revision=3)


def less_than_asked_for(log, writes, reads):
    reads[2] = replace(reads[2], revision=2, pointer_revision=2, number=2, min_revision=3)


def too_stale(log, writes, reads):
    reads[3] = replace(reads[3], revision=2, pointer_revision=2, number=2)


def back_in_time(log, writes, reads):
    reads[2] = replace(reads[2], min_revision=2, revision=2)
    reads[1] = replace(reads[1], revision=1, pointer_revision=3, number=1, ended=5)
    reads[2] = replace(reads[2], pointer_revision=2, number=2)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (second_effect, "took effect 2 times"),
        (gap, "stands where 3 should"),
        (clock_back, "is older than"),
        (lost, "was acknowledged at 3 and is in the log at 0"),
        (elsewhere, "was acknowledged at 2 and is in the log at 1"),
        (refused_but_done, "was refused and is in the log"),
        (out_of_order, "got revision 1, after 3 had been acknowledged"),
        (unknown_out_of_order, "got revision 2, after 3 had been acknowledged"),
        (two_holders, "is held by [1, 2] and points at [2]"),
        (no_holder, "is held by [] and points at [2]"),
        (wrong_answer, "was read as (3, 2) and is"),
        (old_answer, "was read as (2, 2) and is"),
        (from_the_future, "before anybody asked for that change"),
        (less_than_asked_for, "with 3 asked for"),
        (too_stale, "2 s after 3 had been acknowledged"),
        (back_in_time, "at 3, then 2"),
    ],
)
def test_every_planted_lie_is_found(lie, told):
    history = true_history()
    lie(*history)
    assert [fault for fault in faults_of(*history) if told in fault]


def test_a_change_that_was_so_already_is_no_fault_and_one_that_was_not_is():
    log, writes, reads = true_history()
    kept = replace(write(2, 8, 9), request_id="kept", wanted=(PRODUCTION, 2))
    assert faults_of(log, [*writes, kept], reads) == []
    [fault] = faults_of(log, [*writes, replace(kept, wanted=(PRODUCTION, 1))], reads)
    assert "kept was acknowledged at 2 and is in the log at 0" in fault


def test_a_stale_answer_that_says_so_is_no_fault():
    log, writes, reads = true_history()
    reads[3] = replace(reads[3], revision=2, pointer_revision=2, number=2, stale=True, client=2)
    assert faults_of(log, writes, reads) == []


def test_many_operations_are_checked_in_little_time():
    count = 20_000
    log = [entry(n, 1 + n % 2, 2 - n % 2 if n > 1 else 0) for n in range(1, count + 1)]
    writes = [write(n, n, n + 0.5) for n in range(1, count + 1)]
    reads = [read(n + 0.6, n, n, 1 + n % 2) for n in range(1, count + 1)]
    assert faults_of(log, writes, reads) == []
