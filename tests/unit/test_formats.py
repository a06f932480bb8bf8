"""Formats are told by content, whatever the name says."""

import bz2
import gzip
import json
import lzma
import pickle
import struct
import sys
import zlib

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from registry_grpc.domain.formats import EXECUTABLE, summarise
from registry_grpc.domain.metadata import Format
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
)


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
        (gzip.compress(b"plain text", mtime=0), "x", "gzip"),
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


def test_the_summary_is_sorted_and_counts_files():
    pairs = [("b.pkl", "pickle"), ("w", "safetensors"), ("a.pkl", "pickle"), ("z", "new")]
    assert summarise(pairs) == (
        Format("new", executable=True, example_path="z", file_count=1),
        Format("pickle", executable=True, example_path="a.pkl", file_count=2),
        Format("safetensors", executable=False, example_path="w", file_count=1),
    )
    assert summarise([]) == ()
