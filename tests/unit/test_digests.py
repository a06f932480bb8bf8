"""Digests that other programs compute again."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.digests import Digest, artifact_id, etag_of, is_sha256, manifest_digest

EMPTY = hashlib.sha256(b"").hexdigest()
PATHS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
FILES = st.dictionaries(PATHS, st.builds(Digest, st.just(EMPTY), st.integers(0, 2**42)), max_size=8)


def test_the_manifest_digest_is_that_of_the_contract():
    text = f"registry-grpc manifest v1\n{EMPTY} 0 a/b.json\n{EMPTY} 12 weights é.bin\n"
    files = [("weights é.bin", Digest(EMPTY, 12)), ("a/b.json", Digest(EMPTY, 0))]
    assert manifest_digest(files) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_files_are_ordered_by_the_bytes_of_their_paths():
    # U+FF5E sorts before U+1F980 as bytes, and after it as UTF-16.
    paths = ["Z", "a", "\uff5e", "\U0001f980"]
    lines = "".join(f"{EMPTY} 0 {path}\n" for path in paths)
    wanted = hashlib.sha256(f"registry-grpc manifest v1\n{lines}".encode()).hexdigest()
    assert manifest_digest((path, Digest(EMPTY, 0)) for path in reversed(paths)) == f"sha256:{wanted}"


@given(FILES, st.randoms())
def test_the_order_of_the_files_does_not_matter_and_every_size_does(files, random):
    items = list(files.items())
    random.shuffle(items)
    assert manifest_digest(items) == manifest_digest(files.items())
    for path, digest in files.items():
        other = files | {path: Digest(EMPTY, digest.size_bytes + 1)}
        assert manifest_digest(other.items()) != manifest_digest(files.items())


@given(PATHS)
def test_an_artifact_id_is_26_characters_that_follow_from_the_path(path):
    assert len(artifact_id(path)) == 26
    assert set(artifact_id(path)) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert artifact_id(path) == artifact_id(path)


def test_etags_differ_by_resource_and_by_revision():
    assert len({etag_of(uid, revision) for uid in ("a", "b") for revision in (1, 2)}) == 4


def test_a_sha256_is_64_lower_case_hex_digits():
    assert is_sha256(EMPTY)
    for text in ("", EMPTY.upper(), EMPTY[:-1], EMPTY + "0", EMPTY + "\n", "g" * 64):
        assert not is_sha256(text)
