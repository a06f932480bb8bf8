"""Signed notes: the forms of C2SP, and what is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry_grpc.domain.notes import Head, NoteError, Signer, Verifier, new_key_pem

# Source: the examples of golang.org/x/mod/sumdb/note.
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
SIGNED = f"{TEXT}\n— PeterNeumann {SIGNATURE}\n"


def test_keys_of_go_are_read():
    signer = Signer.parse(SKEY, "ignored")
    assert str(signer.verifier) == VKEY
    assert Verifier.parse(VKEY) == signer.verifier


def test_a_note_of_go_is_verified():
    with pytest.raises(NoteError, match="is no checkpoint"):  # signed well, and about something else
        Verifier.parse(VKEY).open(SIGNED)
    with pytest.raises(NoteError, match="does not fit the note"):
        Verifier.parse(VKEY).open(SIGNED.replace("problem is", "problem was"))


def test_a_head_is_signed_and_read_again():
    signer = Signer.parse(new_key_pem(), "log.example/1")
    note = signer.sign(7, bytes(range(32)))
    assert note.startswith("log.example/1\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— log.example/1 ")
    assert signer.verifier.open(note) == Head("log.example/1", 7, bytes(range(32)))


def test_a_note_that_others_signed_too_is_read():
    first, second = (Signer.of(name, Ed25519PrivateKey.generate()) for name in ("one", "two"))
    note = first.sign(1, bytes(32))
    witness = second.sign(1, bytes(32)).rpartition("\n\n")[2]
    assert first.verifier.open(note + witness).size == 1


@pytest.mark.parametrize("change", [("\n7\n", "\n8\n"), ("AAEC", "AAED"), ("log.example/1\n7", "log.example/2\n7")])
def test_a_changed_note_is_refused(change):
    signer = Signer.parse(new_key_pem(), "log.example/1")
    note = signer.sign(7, bytes(range(32)))
    with pytest.raises(NoteError):
        signer.verifier.open(note.replace(*change, 1))


@pytest.mark.parametrize("text", ["", "no note", "a\n1\nx\n\n", "a\n1\nx\n\n— a\n", "a\n1\nx\n\nsignature\n", "\n\n"])
def test_what_is_no_note_is_refused(text):
    with pytest.raises(NoteError):
        Verifier.parse(VKEY).open(text)


@pytest.mark.parametrize("text", ["", "x", VKEY.replace("c74f", "c74e"), VKEY[:-4], VKEY.replace("ARpc", "BRpc")])
def test_what_is_no_verifier_key_is_refused(text):
    with pytest.raises(NoteError):
        Verifier.parse(text)


@pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----\ngeheim\n", SKEY.replace("c74f", "c74e"), SKEY[:-4]])
def test_what_is_no_private_key_is_refused_without_showing_it(text):
    with pytest.raises(NoteError) as caught:
        Signer.parse(text, "log")
    assert "geheim" not in str(caught.value)
    assert "FALVFGyN" not in str(caught.value)


def test_a_signer_shows_nothing_secret():
    assert "AYEK" not in repr(Signer.parse(SKEY, "log"))
