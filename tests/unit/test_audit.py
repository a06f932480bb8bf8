"""Leaves of both versions, and how an entry is held against its own."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_grpc.domain.audit import (
    FIRST_LEAF,
    AuditEntry,
    LeafError,
    Recorded,
    bounded,
    first_difference,
    parse_leaf,
)

ENTRY = AuditEntry(
    number=4,
    revision=3,
    time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    actor="user:ada",
    method="ModelService.CreateModel",
    resource="projects/default/models/é",
    request_id="r",
    outcome="applied",
    after=bytes(range(32)),
    authentication="oidc",
    peer="ipv4:192.0.2.1:1",
    before=bytes(32),
    changes='[{"resource":"x"}]',
)


def test_a_leaf_says_what_its_entry_says():
    entry, changes = parse_leaf(ENTRY.leaf())
    assert entry == replace(ENTRY, changes="")
    assert len(changes) == 32


def test_a_leaf_of_the_first_version_is_still_read():
    old = replace(ENTRY, authentication="", peer="", before=b"", changes="")
    leaf = old.leaf(FIRST_LEAF)
    assert parse_leaf(leaf) == (old, b"")
    assert first_difference(Recorded(old, leaf)) == ""
    # What such a leaf cannot bear out must not be there.
    assert first_difference(Recorded(ENTRY, leaf)).startswith("authentication")


@pytest.mark.parametrize("cut", [0, 1, 24, 25, 40, -1])
def test_a_cut_leaf_is_refused(cut):
    with pytest.raises(LeafError):
        parse_leaf(ENTRY.leaf()[:cut])


@pytest.mark.parametrize("leaf", [b"\x03" + ENTRY.leaf()[1:], ENTRY.leaf() + b"\0\0\0\0", b"\x01" + ENTRY.leaf()[1:]])
def test_a_leaf_of_another_form_is_refused(leaf):
    with pytest.raises(LeafError):
        parse_leaf(leaf)
    assert first_difference(Recorded(ENTRY, leaf)).startswith("leaf")


def test_changes_are_held_against_their_hash():
    leaf = ENTRY.leaf()
    assert first_difference(Recorded(ENTRY, leaf)) == ""
    for other in ("", "[]"):
        assert first_difference(Recorded(replace(ENTRY, changes=other), leaf)).startswith("changes")


def test_texts_of_callers_are_bounded():
    assert bounded("a\0b") == "a�b"
    assert len(bounded("x" * 5000)) == 1024
