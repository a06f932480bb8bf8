"""Archives, known by the names inside. Members are not decompressed beyond the header of an array."""

import zlib
from collections.abc import Iterator

from registry_grpc.domain.sniffing.tensors import npy
from registry_grpc.domain.sniffing.window import Window, ends_with, uint

_END_BYTES = 22
_MAX_COMMENT = 65_535
_MAX_DIRECTORY = 1 << 20
_MAX_ENTRIES = 10_000
_MAX_ARRAYS = 16
_MAX_TAR_MEMBERS = 16
_TAR_BLOCK = 512
_STORED, _DEFLATED = 0, 8
_CODE = (
    ".py", ".pyc", ".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin", ".so", ".dll",
    ".dylib", ".exe", ".sh", ".class", ".jar", ".zip", ".whl", ".mar", ".keras", ".tar", ".tar.gz",
)  # fmt: skip


def sniff_zip(window: Window) -> str | None:
    """The kind of ZIP archive a file is, also where something stands before the archive."""
    found = _directory(window)
    if found is None:
        # Torn, or with an end we could not find: what can be read of it is no archive to anyone else.
        return "zip" if window.head.startswith((b"PK\x03\x04", b"PK\x05\x06")) else None
    directory, shift = found
    entries = list(_entries(directory))
    names = [name for name, *_ in entries]
    bases = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in bases and any("code/" in name for name in names):
        return "torchscript"
    if "data.pkl" in bases:
        return "pytorch"
    if "model.weights.h5" in bases and "config.json" in bases:
        return "keras"
    if names and all(ends_with(name, ".npy") for name in names):
        return _npz(window, entries, shift)
    return "zip-with-code" if any(ends_with(name, *_CODE) for name in names) else "zip"


def sniff_tar(window: Window) -> str | None:
    """The kind of tar archive a file is, by its first members."""
    if window.head[257:262] != b"ustar" and not _is_old_tar(window.head):
        return None
    names = list(_members(window))
    if {"pickle", "storages", "tensors", "sys_info"} & set(names[:4]) and "pickle" in names:
        return "pytorch-legacy"
    return "tar-with-code" if any(ends_with(name, *_CODE) for name in names) else "tar"


def _directory(window: Window) -> tuple[bytes, int] | None:
    """The central directory, and by how much the offsets in it must be raised."""
    length = min(window.size_bytes, _END_BYTES + _MAX_COMMENT)
    tail_at = window.size_bytes - length
    tail = window.at(tail_at, length)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END_BYTES > len(tail):
        return None
    size, offset = uint(tail[found + 12 : found + 16]), uint(tail[found + 16 : found + 20])
    end = tail_at + found
    locator = window.at(end - 20, 20)
    if locator.startswith(b"PK\x06\x07"):
        record = window.at(uint(locator[8:16]), 56)
        if record.startswith(b"PK\x06\x06"):
            end, size, offset = uint(locator[8:16]), uint(record[40:48]), uint(record[48:56])
    # Readers differ in whether they believe the offset or count back from the end: read both.
    start = end - size
    directory = window.at(start, min(size, _MAX_DIRECTORY))
    if start != offset:
        directory += window.at(offset, min(size, _MAX_DIRECTORY))
    return directory, start - offset


def _entries(directory: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, method and offset of each member listed."""
    at = 0
    for _ in range(_MAX_ENTRIES):
        record = directory[at : at + 46]
        if len(record) < 46 or not record.startswith(b"PK\x01\x02"):  # noqa: PLR2004
            return
        name, extra, comment = (uint(record[i : i + 2]) for i in (28, 30, 32))
        text = directory[at + 46 : at + 46 + name].decode("utf-8", "replace").lower()
        yield text.replace("\\", "/"), uint(record[10:12]), uint(record[42:46])
        at += 46 + name + extra + comment


def _npz(window: Window, entries: list[tuple[str, int, int]], shift: int) -> str:
    """An array of objects is a pickle inside; more arrays than we look at are not vouched for."""
    for _, method, offset in entries[:_MAX_ARRAYS]:
        local = window.at(offset + shift, 4096)
        if not local.startswith(b"PK\x03\x04"):
            return "npz-unchecked"
        data = local[30 + uint(local[26:28]) + uint(local[28:30]) :]
        head = data if method == _STORED else _inflated(data) if method == _DEFLATED else b""
        if not head.startswith(b"\x93NUMPY"):
            return "npz-unchecked"
        if npy(head) != "npy":
            return "npz-object"
    return "npz" if len(entries) <= _MAX_ARRAYS else "npz-unchecked"


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(data, 4096)
    except zlib.error:
        return b""


def _is_old_tar(head: bytes) -> bool:
    """A header without the mark, as very old tar wrote them: known by its checksum."""
    block = head[:_TAR_BLOCK]
    if len(block) < _TAR_BLOCK or not block[0] or not block[148:154].strip(b" \0").isdigit():
        return False
    stated = _octal(block[148:156])
    return stated == sum(block) - sum(block[148:156]) + 8 * ord(" ")


def _octal(field: bytes) -> int:
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return 1 << 62


def _members(window: Window) -> Iterator[str]:
    at = 0
    for _ in range(_MAX_TAR_MEMBERS):
        header = window.at(at, _TAR_BLOCK)
        if len(header) < _TAR_BLOCK or not header[0]:
            return
        name = header[:100].rstrip(b"\0").decode("utf-8", "replace").lower()
        yield name.removeprefix("./").rstrip("/")
        size = _octal(header[124:136])
        at += _TAR_BLOCK * (1 + -(-size // _TAR_BLOCK))
