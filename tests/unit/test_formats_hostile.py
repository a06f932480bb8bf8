"""Sniffing is bounded and raises nothing, whatever the content is."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import random
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_grpc.domain.formats import sniff
from tests.unit.format_samples import (
    KEY,
    ONNX,
    PE,
    Evil,
    archive,
    gguf,
    kind,
    safetensors,
    tarred,
    tensor,
    written,
    zipped,
)


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(b"\0" * (50 << 20), mtime=0),
        bz2.compress(b"\0" * (50 << 20)),
        lzma.compress(b"\0" * (50 << 20)),
        zlib.compress(b"\x80\x04" + b"N" * (50 << 20)),
        zipped(a_dot_npy=b"\0" * (50 << 20)),
        archive(*(f"{number}.txt" for number in range(30_000))),
        b"(" * (1 << 20),
        b"\x80\x04" + b"(" * (1 << 20),
        b"V" + b"x" * (20 << 20),
        b"[" * (1 << 16),
        safetensors(b'{"a":[' + b"1," * 500_000 + b"1]}"),
        safetensors(json.dumps({str(i): tensor(i, i + 1) for i in range(12_000)}).encode(), b"x"),
        gguf(KEY + struct.pack("<IIQ", 9, 8, 1 << 18) + b"\0" * (8 << 18), count=1),
        b"\x08\x08" * (1 << 16),
    ],
    ids=range(14),
)
def test_hostile_content_costs_little(bomb):
    # The best of three: on a shared machine one run may be charged for what others did.
    seconds = min(cpu_s(lambda: kind(bomb, "m.safetensors")) for _ in range(3))
    tracemalloc.start()
    try:
        kind(bomb, "m.safetensors")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < 0.1
    assert peak < 32 << 20


def cpu_s(work):
    started = time.process_time()
    work()
    return time.process_time() - started


SAMPLES = [
    pickle.dumps(Evil(), 0), pickle.dumps({"a": 1}, 5), archive("m/data.pkl", "x"), ONNX, PE,
    tarred("pickle", "tensors"), gzip.compress(pickle.dumps([1]), mtime=0), gguf(KEY, count=1),
    safetensors({"a": tensor(0, 4)}, b"1234"), written(lambda out: np.savez(out, np.arange(3))),
    lzma.compress(pickle.dumps([1])), bz2.compress(b"x"), b"\x89HDF\r\n\x1a\n", b'{"a":1}',
]  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_a_torn_or_flipped_file_never_raises(sample):
    for end in range(len(sample)):
        kind(sample[:end], "m.safetensors")
    chance = random.Random(7)
    for _ in range(200):
        torn = bytearray(sample)
        for _ in range(chance.randint(1, 8)):
            torn[chance.randrange(len(torn))] = chance.randrange(256)
        kind(bytes(torn), chance.choice(["m.pyc", "saved_model.pb", "m.safetensors", "m.json"]))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", *(sample[:12] for sample in SAMPLES)]),
    st.binary(max_size=4000),
    st.sampled_from(["a.py", "a.json", "m.safetensors", "saved_model.pb", "x.pyc", "\udcff"]),
)
def test_random_bytes_never_raise(magic, noise, path):
    kind(magic + noise, path)


@pytest.mark.parametrize(
    ("given_bytes", "expected"),
    [(b"", "unknown"), (b"PK\x03\x04", "zip"), (b"\x01\xfe" * (1 << 15), "unknown")],
)
def test_a_reader_that_gives_less_than_asked_for_is_believed(given_bytes, expected):
    def read(offset: int, length: int) -> bytes:
        return given_bytes[offset : offset + length]

    assert sniff("x", 1 << 40, read) == expected


def test_reads_are_few_and_small():
    asked = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return os.urandom(length)

    for _ in range(50):
        asked.clear()
        sniff("model.safetensors", 1 << 50, read)
        assert len(asked) <= 40
        assert max(asked) <= 1 << 20
