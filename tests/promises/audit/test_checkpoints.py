"""When heads are signed, where they are kept, and two checkpointers at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry_grpc.domain.merkle import Growing, Tree, leaf_hash, proves_consistency, proves_inclusion
from registry_grpc.domain.notes import Signer
from registry_grpc.usecases import audit as verbs
from registry_grpc.usecases.audit_checkpoints import GrowTree, note_key
from tests.kit.gotlog import judge
from tests.promises.audit.world import MINUTE

pytestmark = pytest.mark.promise("P12", "checkpoints")


def test_a_checkpoint_is_due_after_a_minute_or_a_thousand_entries(world):
    world.happen(1)
    assert world.sign().size == world.size()
    world.happen(1)
    assert world.sign() is None
    world.store.clock_offset += MINUTE
    assert world.sign().size == world.size()
    world.store.clock_offset += MINUTE
    assert world.sign() is None
    world.fill(1000)
    assert world.sign().size == world.size()


def test_a_clock_that_was_put_back_puts_no_checkpoint_off(world):
    world.happen(1)
    world.sign.fresh()
    world.happen(1)
    world.store.clock_offset -= 60 * MINUTE
    assert world.sign().size == world.size()


def test_the_note_lies_in_the_artifact_store(world):
    world.happen(1)
    made = world.sign()
    key = note_key(made.size)
    assert b"".join(world.artifacts.read(key, 0, len(made.note.encode()))).decode() == made.note


def test_a_note_that_did_not_reach_the_artifact_store_is_brought_there(world):
    world.happen(1)
    made = world.sign()
    world.artifacts.delete(note_key(made.size))
    world.happen(1)
    world.sign.fresh()
    assert world.artifacts.head(note_key(made.size)) is not None


def test_two_checkpointers_at_once_do_no_harm(world):
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            world.happen(2)
            made = [each.result() for each in [pool.submit(world.checkpointer().fresh) for _ in range(4)]]
            assert {(each.size, each.root) for each in made} == {(world.size(), made[0].root)}
    assert not world.alarm.refusals


def test_a_new_key_goes_on_from_the_checkpoint_of_a_former_one(world):
    world.happen(1)
    world.sign.fresh()
    world.happen(1)
    new = Signer.of(world.signer.verifier.name, Ed25519PrivateKey.generate())
    made = world.checkpointer(new, (world.signer.verifier,)).fresh()
    assert new.verifier.open(made.note).size == world.size()


def test_stored_hashes_make_the_same_tree_as_the_leaves(world):
    world.happen(1)
    world.fill(700)
    before = world.store.read(lambda reader: Tree(world.size(), reader.trail.hashes).root())
    GrowTree(world.store)()
    tree = Growing()
    for recorded in world.store.read(lambda reader: reader.trail.entries(0, world.size(), 10_000)):
        tree.add(leaf_hash(recorded.leaf))
    assert world.store.read(lambda reader: reader.trail.stored_nodes(8)) == world.size() // 256
    assert before == tree.root() == world.store.read(lambda reader: Tree(world.size(), reader.trail.hashes).root())


@pytest.mark.promise("P12", "independent verifier")
def test_go_accepts_our_checkpoints_and_proofs_and_no_others(world):
    world.happen(3)
    world.fill(300)
    old = world.sign.fresh()
    world.happen(3)
    new = world.sign.fresh()
    proofs = [verbs.ProveInclusion(world.store)(index, 0) for index in (0, 1, 255, 256, old.size, new.size - 1)]
    _, consistency = verbs.ProveConsistency(world.store)(old.size, 0)
    assert proves_consistency(old.size, new.size, consistency, old.root, new.root)
    for proof in proofs:
        index = proof.recorded.entry.index
        assert proves_inclusion(leaf_hash(proof.recorded.leaf), index, new.size, proof.hashes, new.root)
    document = {
        "verifier_key": str(world.signer.verifier),
        "note": new.note,
        "old_note": old.note,
        "inclusions": [
            {"index": proof.recorded.entry.index, "leaf": proof.recorded.leaf, "hashes": proof.hashes}
            for proof in proofs
        ],
        "consistency": consistency,
    }
    done = judge(document)
    assert (done.returncode, done.stdout) == (0, f"{new.size} entries, {len(proofs)} proofs\n"), done.stderr
    wrong_leaf = document["inclusions"][0] | {"leaf": b"another"}
    for wrong in (
        {"inclusions": [wrong_leaf]},
        {"consistency": consistency[::-1]},
        {"note": new.note.replace(f"\n{new.size}\n", f"\n{new.size + 1}\n")},
    ):
        assert judge(document | wrong).returncode == 1
