"""Seeded bugs still fit the code: each edit has its one place, each proof is there. `make seeded` plants them."""

import pytest

from tests.kit.engines import ROOT
from tests.promises.seeded.__main__ import BUGS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_has_its_places_and_its_proofs(bug):
    for edit in bug.edits:
        assert (ROOT / "src/registry_grpc" / edit.file).read_text().count(edit.old) == 1, edit.file
    for proof in bug.proofs:
        file, _, name = proof.partition("::")
        path = ROOT / file
        assert path.exists(), proof
        if name:
            assert f"def {name.partition('[')[0]}(" in path.read_text(), proof
