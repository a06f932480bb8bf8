"""Programs, tables and text."""

import codecs
import json

from registry_grpc.domain.sniffing.window import HEAD_BYTES, Window, ends_with, uint

_MARKS = (
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "mach-o"),
    (b"\xfe\xed\xfa\xcf", "mach-o"),
    (b"\xce\xfa\xed\xfe", "mach-o"),
    (b"\xcf\xfa\xed\xfe", "mach-o"),
    (b"\x00asm", "wasm"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"FEA1", "arrow"),
)
_FIRST_JAVA = 45
"""Class file versions begin here; a fat Mach-O shares the mark and counts its parts there."""
_PYC_SUFFIXES = (".pyc", ".pyo")


def sniff_binary(window: Window) -> str | None:
    """Machine code and tables, by their marks."""
    head = window.head
    for magic, name in _MARKS:
        if head.startswith(magic):
            return name
    if head.startswith(b"MZ") and _is_pe(window):
        return "pe"
    if head.startswith(b"\xca\xfe\xba\xbe"):
        return "java-class" if int.from_bytes(head[6:8], "big") >= _FIRST_JAVA else "mach-o"
    if ends_with(window.name, *_PYC_SUFFIXES) and head[2:4] == b"\r\n":
        return "python-bytecode"
    if head.startswith(b"PAR1") and window.at(window.size_bytes - 4, 4) in {b"PAR1", b"PARE"}:
        return "parquet"
    return None


def sniff_text(window: Window) -> str | None:
    """Text and what it says, where all of the head is text."""
    head = window.head
    if head.startswith(b"#!"):
        return "shell"
    if not _is_text(head):
        return None
    if ends_with(window.name, ".py", ".pyi", ".pyw"):
        return "python"
    if ends_with(window.name, ".sh", ".bash", ".bat", ".cmd", ".ps1"):
        return "shell"
    if _is_json(window):
        return "json"
    return "yaml" if ends_with(window.name, ".yaml", ".yml") else "text"


def _is_pe(window: Window) -> bool:
    at = uint(window.head[60:64])
    return window.at(at, 4) == b"PE\x00\x00"


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        # A character may be cut at the end of the head.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(window: Window) -> bool:
    head = window.head.removeprefix(b"\xef\xbb\xbf").strip()
    if not head.startswith((b"{", b"[")):
        return False
    if window.size_bytes > len(window.head):
        return ends_with(window.name, ".json", ".ipynb", ".jsonl")
    try:
        json.loads(head)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
