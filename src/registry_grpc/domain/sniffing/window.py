"""A file seen through a few small reads."""

from collections.abc import Callable

HEAD_BYTES = 64 * 1024
_MAX_READS = 40
_MAX_READ_BYTES = 1 << 20


class Window:
    """The first bytes of a file, and a bounded number of further reads."""

    def __init__(self, path: str, size_bytes: int, read: Callable[[int, int], bytes]) -> None:
        """`read(offset, length)` may return fewer bytes than asked for."""
        self.name = path.rpartition("/")[2].lower()
        self.size_bytes = size_bytes
        self._read = read
        self._reads_left = _MAX_READS
        self.head = self._fetch(0, HEAD_BYTES)
        if len(self.head) < HEAD_BYTES:
            self.size_bytes = len(self.head)

    def at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on; fewer at the end of the file, none when the reads are used up."""
        if offset < 0 or offset >= self.size_bytes or length <= 0:
            return b""
        length = min(length, self.size_bytes - offset, _MAX_READ_BYTES)
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        return self._fetch(offset, length)

    def _fetch(self, offset: int, length: int) -> bytes:
        if not self._reads_left or self.size_bytes <= 0:
            return b""
        self._reads_left -= 1
        length = min(length, self.size_bytes - offset)
        return self._read(offset, length)[:length]


def uint(data: bytes) -> int:
    """An unsigned little-endian number."""
    return int.from_bytes(data, "little")


def ends_with(name: str, *suffixes: str) -> bool:
    """Whether a lower-case file name has one of the suffixes."""
    return name.endswith(suffixes)
