"""Chunks with rests in between: when there is one, how long, and that the chunks are what they were."""

import pytest

from registry_grpc.services.transfer_room import TransferRoom
from registry_grpc.services.unhurried import REST_S, Unhurried
from registry_grpc.storage.artifacts import local_files
from registry_grpc.storage.artifacts.faults import check_size

MIB = 1 << 20


@pytest.fixture
def room():
    return TransferRoom(8, 3)


@pytest.fixture
def rests():
    return []


def open_streams(room, count):
    room.streams = count


def test_one_upload_alone_does_not_rest(room, rests):
    open_streams(room, 1)
    chunks = [bytes([number]) * MIB for number in range(3)]
    assert list(Unhurried(chunks, room, rests.append)) == chunks
    assert rests == []


def test_there_is_a_rest_after_each_mebibyte_and_each_time_they_are_gone_over(room, rests):
    open_streams(room, 2)
    chunks = [bytes([number]) * MIB for number in range(3)]
    calm = Unhurried(chunks, room, rests.append)
    for _ in range(2):
        assert list(calm) == chunks
    assert rests == [REST_S] * 6


def test_the_rest_comes_after_the_work_with_a_chunk(room, rests):
    open_streams(room, 2)
    going = iter(Unhurried([b"a" * MIB, b"b" * MIB], room, rests.append))
    next(going)
    assert rests == []
    next(going)
    assert rests == [REST_S]


def test_small_chunks_rest_as_long_as_large_ones_but_less_often(room, rests):
    open_streams(room, 2)
    chunks = [b"x" * (MIB // 16)] * 64
    assert list(Unhurried(chunks, room, rests.append)) == chunks
    assert sum(rests) == pytest.approx(4 * REST_S, rel=0.1)
    assert min(rests) >= 0.001


def test_nobody_rests_any_more_once_the_other_upload_has_ended(room, rests):
    open_streams(room, 2)
    going = iter(Unhurried([b"a" * MIB] * 3, room, rests.append))
    next(going)
    next(going)
    open_streams(room, 1)
    assert len(list(going)) == 1
    assert rests == [REST_S]


def test_a_file_is_written_without_a_rest_before_its_one_write(room, rests, tmp_path):
    open_streams(room, 2)
    local_files.create_file(tmp_path / "part", Unhurried([b"a" * MIB, b"", b"b" * 5], room, rests.append))
    assert (tmp_path / "part").read_bytes() == b"a" * MIB + b"b" * 5
    assert rests == []


def test_who_only_looks_does_not_rest(room, rests):
    open_streams(room, 2)
    chunks = [b"a" * MIB, b"b" * 5]
    calm = Unhurried(chunks, room, rests.append)
    check_size(calm, MIB + 5)
    assert (len(calm), calm[1], calm[:1]) == (2, chunks[1], chunks[:1])
    assert rests == []
