"""Files built by hand for the tests of formats."""

import io
import json
import os
import struct
import tarfile
import zipfile

from registry_grpc.domain.formats import EXECUTABLE, sniff


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


ONNX = b"\x08\x08\x12\x07pytorch" + b"\x3a\x04abcd" + b"\x42\x02\x10\x11"
PE = b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0"
KEY = struct.pack("<Q", 3) + b"a.b"
