"""Signed heads of the audit trail, as text. Sources: C2SP signed-note and tlog-checkpoint, Ed25519 (type 0x01)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from registry_grpc.domain.merkle import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

ED25519 = b"\x01"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_NOTE_CHARS = 4096
_ID_BYTES = 4
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteError(ValueError):
    """A note or a key is not what it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The body of the note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Head:
        """The head in the body of a note; lines behind the third are extensions and mean nothing here.

        Raises: NoteError.
        """
        lines = text.split("\n")
        if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - three lines and the end
            raise NoteError("the note is no checkpoint: origin, size and root hash, a line each")
        root = _bytes_of(lines[2])
        if len(root) != HASH_BYTES:
            raise NoteError("the root hash of the checkpoint has not 32 bytes")
        return cls(lines[0], int(lines[1]), root)


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half of a key."""

    name: str
    key: bytes

    def __str__(self) -> str:
        """The verifier key: `<name>+<key id>+<base64>`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.key).decode()}"

    @property
    def id(self) -> bytes:
        """First bytes of the hash of name and key."""
        return _key_id(self.name, self.key)

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Raises: NoteError."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _bytes_of(encoded)
        if not _NAME.fullmatch(name) or raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
            raise NoteError("this is no verifier key: <name>+<key id>+<base64>, of Ed25519")
        found = cls(name, raw[1:])
        if found.id.hex() != key_id:
            raise NoteError(f"the key id of {name} does not fit its key; a character of it was changed")
        return found

    def open(self, note: str) -> Head:
        """The head in a note that this key signed.

        Raises: NoteError.
        """
        text, _, lines = note.rpartition("\n\n")
        if not lines.endswith("\n") or len(note) > MAX_NOTE_CHARS:
            raise NoteError("this is no signed note")
        text += "\n"
        for line in lines[:-1].split("\n"):
            match = _LINE.fullmatch(line)
            if match is None:
                raise NoteError("a signature line of the note cannot be read")
            raw = _bytes_of(match[2])
            if match[1] != self.name or raw[:_ID_BYTES] != self.id:
                continue
            if not self._signed(raw[_ID_BYTES:], text.encode()):
                raise NoteError(f"the signature of {self.name} does not fit the note")
            return Head.parse(text)
        raise NoteError(f"the note is not signed by {self.name} with key {self.id.hex()}")

    def _signed(self, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs heads. Its `repr` shows nothing secret."""

    verifier: Verifier
    _sign: Callable[[bytes], bytes]

    @classmethod
    def of(cls, name: str, key: Ed25519PrivateKey) -> Signer:
        """A signer under a name, which is the origin of its log."""
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return cls(Verifier(name, raw), key.sign)

    @classmethod
    def parse(cls, text: str, name: str) -> Signer:
        """The signer in a PEM file (PKCS #8), under `name`, or in a C2SP signer key, which has its own.

        Raises: NoteError, which shows nothing of it.
        """
        if text.startswith("PRIVATE+KEY+"):
            return _of_signer_key(text.strip())
        try:
            key = serialization.load_pem_private_key(text.encode(), None)
        except (ValueError, TypeError):
            raise NoteError("the key is neither PEM without a password nor a C2SP signer key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise NoteError("the key is not of Ed25519; make one by `openssl genpkey -algorithm ed25519`")
        return cls.of(name, key)

    def sign(self, size: int, root: bytes) -> str:
        """The signed note of a head."""
        text = Head(self.verifier.name, size, root).text()
        signature = base64.b64encode(self.verifier.id + self._sign(text.encode())).decode()
        return f"{text}\n— {self.verifier.name} {signature}\n"


def new_key_pem() -> str:
    """A new private key, as `openssl genpkey -algorithm ed25519` makes them."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def _of_signer_key(text: str) -> Signer:
    name, _, rest = text.removeprefix("PRIVATE+KEY+").partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _bytes_of(encoded)
    if not _NAME.fullmatch(name) or raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
        raise NoteError("this is no C2SP signer key of Ed25519")
    signer = Signer.of(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
    if signer.verifier.id.hex() != key_id:
        raise NoteError("the key id of the signer key does not fit its key")
    return signer


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + key).digest()[:_ID_BYTES]


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("the note or key has something in it that is no base64") from None
