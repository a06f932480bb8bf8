"""The tree over the audit trail, against the vectors of RFC 6962 implementations and against the definition."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.merkle import (
    EMPTY_ROOT,
    TILE,
    TILE_LEVELS,
    Growing,
    Tree,
    fold,
    leaf_hash,
    node_hash,
    proves_consistency,
    proves_inclusion,
)

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")] + [
    bytes.fromhex("606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Source: certificate-transparency's merkletree tests."""


def stored(leaves):
    """A fetch over hashes that are made when they are asked for."""

    def fetch(level, first, count):
        if level == 0:
            return [leaf_hash(leaf) for leaf in leaves[first : first + count]]
        return [fold(fetch(level - TILE_LEVELS, at * TILE, TILE)) for at in range(first, first + count)]

    return fetch


def defined(leaves):
    """MTH as RFC 6962 section 2.1 writes it."""
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_that_others_computed(size):
    tree = Growing()
    for leaf in LEAVES[:size]:
        tree.add(leaf_hash(leaf))
    assert tree.root() == Tree(size, stored(LEAVES)).root() == bytes.fromhex(ROOTS[size - 1])


def test_an_empty_tree_has_the_root_of_nothing():
    assert Growing().root() == Tree(0, stored([])).root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_proofs_are_those_that_others_computed():
    tree = Tree(8, stored(LEAVES))
    assert [each.hex()[:8] for each in tree.inclusion(5)] == ["bc1a0643", "ca854ea1", "d37ee418"]
    assert [each.hex()[:8] for each in tree.consistency(6)] == ["0ebc5d34", "ca854ea1", "d37ee418"]
    assert [each.hex()[:8] for each in tree.consistency(1)] == ["96a296d2", "5f083f0a", "6b47aaf2"]


@given(st.integers(1, 700), st.data())
def test_every_proof_proves_and_no_other_does(size, data):
    leaves = [number.to_bytes(2, "big") for number in range(size)]
    tree, index = Tree(size, stored(leaves)), data.draw(st.integers(0, size - 1))
    root, proof = tree.root(), tree.inclusion(index)
    assert root == defined(leaves)
    assert proves_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
    assert not proves_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not proves_inclusion(leaf_hash(leaves[index]), index, size, [*proof, root], root)
    assert not proves_inclusion(leaf_hash(leaves[index]), size, size, proof, root)
    first = data.draw(st.integers(1, size))
    old, path = defined(leaves[:first]), tree.consistency(first)
    assert proves_consistency(first, size, path, old, root)
    assert not proves_consistency(first, size, path, leaf_hash(b"other"), root)
    assert not proves_consistency(first, size, path, old, leaf_hash(b"other"))


def test_a_million_leaves_take_few_hashes():
    asked = []
    leaf = leaf_hash(b"")
    whole = {0: leaf}
    for level in range(1, 17):
        whole[level] = node_hash(whole[level - 1], whole[level - 1])

    def fetch(level, _first, count):
        asked.append(count)
        return [whole[level]] * count

    tree = Tree(1_000_003, fetch)
    root, proof = tree.root(), tree.inclusion(777_777)
    assert proves_inclusion(leaf, 777_777, tree.size, proof, root)
    assert proves_consistency(999_999, tree.size, tree.consistency(999_999), Tree(999_999, fetch).root(), root)
    assert max(asked) <= TILE // 2
    assert sum(asked) < 10_000


def test_what_is_not_in_a_tree_is_refused():
    tree = Tree(3, stored(LEAVES))
    with pytest.raises(ValueError, match="leaf 3 is not in a tree of 3"):
        tree.inclusion(3)
    for first in (0, 4):
        with pytest.raises(ValueError, match=f"has none of {first}"):
            tree.consistency(first)
    with pytest.raises(ValueError, match="lacks hashes"):
        Tree(9, stored(LEAVES)).root()
    assert base64.b64encode(tree.root()) == base64.b64encode(bytes.fromhex(ROOTS[2]))
