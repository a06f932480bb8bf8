"""Formats are told by content, within bounds, whatever the content is."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import random
import struct
import sys
import tarfile
import time
import tracemalloc
import zipfile
import zlib

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from registry_grpc.domain.formats import EXECUTABLE, sniff, summarise
from registry_grpc.domain.metadata import Format


def kind(data: bytes, path: str = "model.bin") -> str:
    found = sniff(path, len(data), lambda offset, length: data[offset : offset + length])
    assert found in EXECUTABLE
    return found


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return out.getvalue()


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in names:
            target.writestr(name, b"content")
    return out.getvalue()


def tarred(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            target.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(first: int, last: int, dtype: str = "U8") -> dict:
    return {"dtype": dtype, "shape": [last - first], "data_offsets": [first, last]}


def gguf(pairs: bytes = b"", tensors: int = 0, count: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, count) + pairs


def written(write) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


class Evil:
    def __reduce__(self):
        return (os.system, ("echo never",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Evil(), {"a": [1, 2.5, "x", None]}, list(range(5000)), [b"x" * 300_000, Evil()]])
def test_a_pickle_of_any_protocol_under_any_name_is_executable(protocol, value):
    data = pickle.dumps(value, protocol)
    for name in ("model.safetensors", "model.pkl", "README.md", "x.json", "weights.npz"):
        assert kind(data, name) == "pickle"
    assert EXECUTABLE["pickle"]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_a_model_written_by_joblib_is_executable(tmp_path, compress):
    inputs = np.random.default_rng(1).normal(size=(200, 5))
    model = LogisticRegression().fit(inputs, inputs[:, 0] > 0)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path, compress=compress)
    expected = "compressed-pickle" if compress else "joblib"
    assert kind(path.read_bytes(), "model.joblib") == expected
    joblib.dump(np.random.default_rng(1).normal(size=(2000, 100)), path, compress=compress)
    assert kind(path.read_bytes(), "m") == expected


def test_files_written_by_numpy():
    array = np.arange(10.0)
    objects = np.array([{"a": 1}], dtype=object)
    assert kind(written(lambda out: np.save(out, array))) == "npy"
    assert kind(written(lambda out: np.save(out, objects))) == "npy-object"
    mixed = np.zeros(2, dtype=[("a", "f4"), ("b", object)])
    assert kind(written(lambda out: np.save(out, mixed))) == "npy-object"
    assert kind(written(lambda out: np.savez(out, array, b=array))) == "npz"
    assert kind(written(lambda out: np.savez_compressed(out, a=array, b=array))) == "npz"
    assert kind(written(lambda out: np.savez(out, array, b=objects))) == "npz-object"
    assert kind(written(lambda out: np.savez_compressed(out, b=objects))) == "npz-object"
    many = {f"a{number}": array for number in range(50)}
    assert kind(written(lambda out: np.savez(out, **many))) == "npz-unchecked"


def test_safetensors_that_keep_the_rules():
    header = {"__metadata__": {"format": "pt"}, "b": tensor(4, 6), "a": tensor(0, 4)}
    assert kind(safetensors(header, b"123456"), "anything") == "safetensors"
    assert kind(safetensors({}), "empty.safetensors") == "safetensors"
    wide = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    assert kind(safetensors(wide, b"\0" * 24)) == "safetensors"
    padded = json.dumps(header).encode() + b"   "
    assert kind(safetensors(padded, b"123456")) == "safetensors"


@pytest.mark.parametrize(
    "data",
    [
        safetensors({"a": tensor(0, 4)}, b"1234", length=1 << 63),
        safetensors({"a": tensor(0, 4)}, b"1234", length=(16 << 20) + 1) + b" " * (17 << 20),
        safetensors({"a": tensor(0, 4), "b": tensor(2, 6)}, b"123456"),
        safetensors({"a": tensor(0, 2), "b": tensor(3, 6)}, b"123456"),
        safetensors({"a": tensor(0, 4)}, b"12345"),
        safetensors({"a": tensor(0, 4)}, b"123"),
        safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"a": {"dtype": "F32", "shape": [1 << 62] * 64, "data_offsets": [0, 4]}}, b"1"),
        safetensors({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, b"1234"),
        safetensors({"a": {"dtype": "U8", "shape": [-4], "data_offsets": [0, -4]}}, b"1234"),
        safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{}}', b"1"),
        safetensors(b'{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"),
        safetensors(b'{"data_offsets":' + b"[" * 100_000, b"1"),
        safetensors(b'{"data_offsets":' + b"9" * 5000 + b"}", b"1"),
        safetensors(b"\xff\xfe{}", b"1"),
        safetensors({"__metadata__": {"a": 1}}),
        safetensors({"a": tensor(0, 22)}, b"PK\x05\x06" + b"\0" * 18),
        b"{}",
        b"short",
    ],
)
def test_safetensors_that_break_a_rule_are_named_so(data):
    assert kind(data, "model.safetensors") in {"safetensors-invalid", "zip"}


def test_a_safetensors_header_too_long_to_check_is_not_vouched_for():
    header = b'{"__metadata__":{"a":"' + b"x" * (2 << 20) + b'"}}'
    assert kind(safetensors(header)) == "safetensors-unchecked"


KEY = struct.pack("<Q", 3) + b"a.b"


@pytest.mark.parametrize(
    "data",
    [
        gguf(count=1 << 60),
        gguf(tensors=1 << 60),
        gguf(struct.pack("<Q", 1 << 62) + b"x" * 100, count=1),
        gguf(KEY + struct.pack("<I", 255) + b"x" * 100, count=1),
        gguf(KEY + struct.pack("<IQ", 8, 1 << 60) + b"x" * 100, count=1),
        gguf(KEY + struct.pack("<IIQ", 9, 4, 1 << 60) + b"x" * 100, count=1),
        gguf(KEY + struct.pack("<IIQ", 9, 8, 1 << 60) + b"x" * 100, count=1),
        gguf(KEY + struct.pack("<IIQ", 9, 77, 1) + b"x" * 100, count=1),
        gguf(version=99),
        b"GGUF",
    ],
)
def test_gguf_with_impossible_counts_is_named_so(data):
    assert kind(data, "model.gguf") == "gguf-invalid"


def test_gguf_that_keeps_the_rules():
    pairs = KEY + struct.pack("<II", 4, 7) + KEY + struct.pack("<IQ", 8, 2) + b"hi"
    strings = KEY + struct.pack("<IIQ", 9, 8, 2) + (struct.pack("<Q", 1) + b"x") * 2
    assert kind(gguf(pairs + strings, count=3)) == "gguf"
    assert kind(gguf()) == "gguf"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["m/data.pkl", "m/data/0", "m/version"], "pytorch"),
        (["m/data.pkl", "m/code/x.py", "m/constants.pkl"], "torchscript"),
        (["metadata.json", "config.json", "model.weights.h5"], "keras"),
        (["a.txt", "b.csv"], "zip"),
        (["a.txt", "evil.py"], "zip-with-code"),
        (["a.txt", "inner.ZIP"], "zip-with-code"),
        (["a\\b.pkl"], "zip-with-code"),
        ([], "zip"),
    ],
)
def test_a_zip_is_what_the_names_inside_say(names, expected):
    data = archive(*names)
    assert kind(data, "model.safetensors") == expected
    prefixed = b"\x01\x02 something before the archive" + data
    assert kind(prefixed) == expected


def test_a_zip64_directory_is_read():
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 0, 0)
    inner = archive("m/data.pkl")
    end = inner.rfind(b"PK\x05\x06")
    start = struct.unpack("<I", inner[end + 16 : end + 20])[0]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - start, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert kind(inner[:end] + record + locator + last) == "pytorch"


def test_tar_archives():
    assert kind(tarred("a.txt", "b.csv")) == "tar"
    assert kind(tarred("a.txt", "model.ckpt")) == "tar-with-code"
    assert kind(tarred("sys_info", "pickle", "storages", "tensors")) == "pytorch-legacy"


def test_legacy_torch_files_begin_with_their_magic_number():
    data = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps(Evil(), 2)
    assert kind(data, "model.pt") == "pytorch-legacy"


ONNX = b"\x08\x08\x12\x07pytorch" + b"\x3a\x04abcd" + b"\x42\x02\x10\x11"
PE = b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0"


@pytest.mark.parametrize(
    ("data", "path", "expected"),
    [
        (ONNX, "m.onnx", "onnx"),
        (b"\x08\x08\x3a\x80\x80\x04" + b"x" * 65536 + b"\x42\x02\x10\x11", "m", "onnx"),
        (b"\x08\x01\x12\x99\x10abc", "a/saved_model.pb", "tensorflow"),
        (b"\x1c\0\0\0TFL3rest", "m", "tflite"),
        (b'{"learner":{"gradient_booster":{}}}', "m.json", "xgboost"),
        (b"{L\0\0\0\0\0\0\0\x07learner{", "m.ubj", "xgboost"),
        (b"tree\nversion=v4\nnum_class=1\n", "m.txt", "lightgbm"),
        (b"CBM1\0\0\0\0", "m.cbm", "catboost"),
        (b'<?xml version="1.0"?>\n<PMML xmlns="x">', "m.xml", "pmml"),
        (b"PAR1" + b"\0" * 20 + b"PAR1", "t", "parquet"),
        (b"ARROW1\0\0data", "t", "arrow"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "m.h5", "hdf5"),
        (b"\x89HDF\r\n\x1a\n..keras_version..model_config", "m.h5", "keras-hdf5"),
        (PE, "x", "pe"),
        (b"\x7fELF\x02\x01\x01", "lib.txt", "elf"),
        (b"\0asm\x01\0\0\0", "x", "wasm"),
        (b"import os\n", "code/run.py", "python"),
        (b"#!/bin/sh\necho\n", "run", "shell"),
        (b'{"a": 1}', "config.json", "json"),
        (b"a: 1\nb: 2\n", "c.yaml", "yaml"),
        ("Grüße\nI am text\n".encode(), "README", "text"),
        (b"V is a letter, and so is this.\nthat.\n", "t", "text"),
        (b"", "x", "empty"),
        (b"\x01\x02\x03\xff", "x", "unknown"),
        (zlib.compress(pickle.dumps([1, 2], 4)), "x", "compressed-pickle"),
        (gzip.compress(b"plain text"), "x", "gzip"),
        (bz2.compress(b"plain text"), "x", "bzip2"),
        (lzma.compress(b"plain text"), "x", "xz"),
        (b"\x04\x22\x4d\x18\x60\x40\x82\x10\0\0\x80\x80\x04\x95", "x", "compressed-pickle"),
        (b"\x04\x22\x4d\x18\x60\x40\x82\x10\0\0\0\xf3\x01\x80\x03}q", "x", "compressed-pickle"),
        (b"\x04\x22\x4d\x18\x60\x40\x82\x10\0\0\0\x40text", "x", "lz4"),
    ],
)
def test_content_names_the_format(data, path, expected):
    assert kind(data, path) == expected


def test_real_programs_are_executable():
    with open(sys.executable, "rb") as file:  # noqa: PTH123 -- the raw bytes of the interpreter
        assert kind(file.read(100_000)) == "elf"


def test_a_file_that_is_safetensors_and_a_pickle_counts_as_a_pickle():
    # The length begins with SHORT_BINBYTES, which swallows the header up to the pickle inside a string.
    header = b'{"__metadata__":{"a":"' + b"x" * 60
    code = b"cos\nsystem\n(tR."
    text = (header + code + b'"}}').ljust(0x5043, b" ")
    data = b"C" + bytes([len(header) + 6]) + b"\0" * 6 + text
    assert kind(data, "m.safetensors") == "pickle"


@pytest.mark.parametrize(
    "bomb",
    [
        gzip.compress(b"\0" * (50 << 20)),
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
    started = time.process_time()
    kind(bomb, "m.safetensors")
    seconds = time.process_time() - started
    tracemalloc.start()
    try:
        kind(bomb, "m.safetensors")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < 0.5
    assert peak < 32 << 20


SAMPLES = [
    pickle.dumps(Evil(), 0), pickle.dumps({"a": 1}, 5), archive("m/data.pkl", "x"), ONNX, PE,
    tarred("pickle", "tensors"), gzip.compress(pickle.dumps([1])), gguf(KEY, count=1),
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


def test_the_summary_is_sorted_and_counts_files():
    pairs = [("b.pkl", "pickle"), ("w", "safetensors"), ("a.pkl", "pickle"), ("z", "new")]
    assert summarise(pairs) == (
        Format("new", executable=True, example_path="z", file_count=1),
        Format("pickle", executable=True, example_path="a.pkl", file_count=2),
        Format("safetensors", executable=False, example_path="w", file_count=1),
    )
    assert summarise([]) == ()
