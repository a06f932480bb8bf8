"""Audit leaves: canonical bytes that no two entries share."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.audit import FIRST_LEAF, AuditEntry
from registry_grpc.domain.merkle import leaf_hash

ENTRY = AuditEntry(
    number=1,
    revision=2,
    time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    actor="user:ada",
    method="ModelService.CreateModel",
    resource="projects/default/models/é",
    request_id="",
    outcome="applied",
    after=bytes(range(32)),
)


def test_a_leaf_has_the_bytes_that_are_written_down():
    head = "01" + "0000000000000001" + "0000000000000002"
    micros = int((ENTRY.time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    head += f"{micros:016x}"
    texts = [ENTRY.actor, ENTRY.method, ENTRY.resource, ENTRY.request_id, ENTRY.outcome]
    fields = b"".join(len(each).to_bytes(4, "big") + each for each in (*(t.encode() for t in texts), ENTRY.after))
    assert ENTRY.leaf(FIRST_LEAF) == bytes.fromhex(head) + fields


def test_the_hash_of_a_leaf_is_that_of_rfc_6962():
    assert leaf_hash(b"") == hashlib.sha256(b"\0").digest()


def test_the_zone_of_a_time_does_not_count():
    elsewhere = ENTRY.time.astimezone(timezone(timedelta(hours=5)))
    assert replace(ENTRY, time=elsewhere).leaf() == ENTRY.leaf()


TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=3), min_size=5, max_size=5)


@given(TEXTS, TEXTS)
def test_different_entries_have_different_leaves_however_their_texts_are_cut(one, other):
    names = ("actor", "method", "resource", "request_id", "outcome")
    leaves = [replace(ENTRY, **dict(zip(names, texts, strict=True))).leaf() for texts in (one, other)]
    assert (leaves[0] == leaves[1]) == (one == other)
