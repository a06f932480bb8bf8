"""Somebody with every right over the database changes the trail; an auditor has an export, the key and an old note."""

import json

import pytest

from registry_grpc.domain.errors import RegistryError
from registry_grpc.storage.sql.tables import audit
from tests.promises.audit.world import MINUTE, lines_of

pytestmark = pytest.mark.promise("P12", "tampering")

OTHER = {
    "revision": 99,
    "leaf": b"\x02forged",
    "time": 1_700_000_000_000_000,
    "actor": "user:mallory",
    "method": "ModelService.UpdateModel",
    "resource": "projects/default/models/other",
    "request_id": "another",
    "outcome": "INVALID_FIELD",
    "detail": b"\x01" * 32,
    "authentication": "certificate",
    "peer": "ipv4:203.0.113.9:1",
    "before": b"\x02" * 32,
    "changes": "[]",
}
NAMED = {"detail": "after"}


def test_every_column_is_tried():
    # `audit_index` is what the swaps are about; `project` follows from the resource and is no part of an entry.
    assert OTHER.keys() | {"audit_index", "project"} == {column.name for column in audit.c}


def test_an_untouched_trail_is_good(world):
    world.happen(3)
    old = world.keep(world.sign.fresh())
    world.happen(3)
    world.sign.fresh()
    assert world.verify(world.export(), old) == (0, f"OK {world.size()} entries\n".strip())


@pytest.mark.parametrize("column", OTHER)
def test_one_edited_column_of_one_row_is_found_and_named(world, column):
    world.happen(4)
    old = world.keep(world.sign.fresh())
    world.tamper(f"UPDATE audit SET {column} = :value WHERE audit_index = 3", value=OTHER[column])  # noqa: S608 -- a column of this file
    code, said = world.verify(world.export(), old)
    assert code == 1
    assert said.startswith(f"BAD entry 2: {NAMED.get(column, column)}")


def test_a_dropped_tail_is_found_and_named(world):
    world.happen(4)
    old = world.keep(world.sign.fresh())
    size = world.size()
    world.tamper("DELETE FROM audit WHERE audit_index > :last", last=size - 2)
    assert world.verify(world.export(), old)[1].startswith(f"BAD entry {size - 2}: it is missing")
    world.tamper("UPDATE log_head SET audit_size = :size", size=size - 2)
    world.tamper("DELETE FROM audit_checkpoint")
    code, said = world.verify(world.export(), old)
    assert (code, said) == (
        1,
        f"BAD entry {size - 2}: it is missing, and so is what follows: a checkpoint was signed over {size} entries",
    )


def test_a_swapped_pair_is_found_and_named(world):
    world.happen(4)
    old = world.keep(world.sign.fresh())
    for number, other in ((2, 1002), (3, 2), (1002, 3)):
        world.tamper("UPDATE audit SET audit_index = :other WHERE audit_index = :number", other=other, number=number)
    code, said = world.verify(world.export(), old)
    assert code == 1
    assert said.startswith("BAD entry 1: number is 2; its leaf says 3")


def test_a_history_that_was_rewritten_and_chained_again_is_found_by_an_old_checkpoint(world):
    world.happen(4)
    first = world.keep(world.sign.fresh(), "first.note")
    size = world.size()
    world.happen(2)
    second = world.keep(world.sign.fresh(), "second.note")
    world.rewrite(size + 1, actor="user:mallory")
    # The export alone is flawless, and nothing signed is in the database any more.
    export = world.export()
    assert "note" not in lines_of(export)[-1]
    assert world.verify(export, first)[0] == 0
    code, said = world.verify(export, first, second)
    assert code == 1
    assert said.startswith(f"BAD the first bad entry is one of {size} to {world.size() - 1}")


def test_a_rewritten_history_is_not_signed_by_the_registry_itself(world):
    world.happen(4)
    world.sign.fresh()
    world.rewrite(2, actor="user:mallory")
    world.happen(1)
    with pytest.raises(RegistryError, match="the database does not know"):
        world.sign.fresh()
    assert len(world.alarm.refusals) == 1


def test_a_history_rewritten_under_the_checkpoint_is_not_signed_either(world):
    world.happen(4)
    made = world.sign.fresh()
    world.rewrite(2, actor="user:mallory")
    world.store.write(lambda unit: unit.trail.add_checkpoint(made))
    world.happen(1)
    world.store.clock_offset += 2 * MINUTE
    with pytest.raises(RegistryError, match="not those that were signed"):
        world.sign()
    assert len(world.alarm.refusals) == 1


def test_a_checkpoint_of_another_key_is_not_gone_on_from(world):
    world.happen(2)
    made = world.sign.fresh()
    note = made.note.replace("\n— ", "\n— x")
    world.tamper("UPDATE audit_checkpoint SET note = :note", note=note)
    world.happen(1)
    with pytest.raises(RegistryError, match="none that this log signed"):
        world.sign.fresh()


def test_an_export_that_was_edited_on_its_way_is_found(world):
    world.happen(3)
    world.sign.fresh()
    lines = lines_of(world.export())
    forged = world.directory / "forged.jsonl"
    for at, change in ((1, {"actor": "user:mallory"}), (2, {"leaf": lines[1]["leaf"]}), (3, {"index": 9})):
        told = [line | (change if number == at else {}) for number, line in enumerate(lines)]
        forged.write_text("\n".join(json.dumps(line) for line in told), encoding="utf-8")
        code, said = world.verify(forged)
        assert code == 1
        assert said.startswith(f"BAD entry {at}: ")


def test_what_no_checkpoint_covers_is_not_called_good(world):
    world.happen(2)
    code, said = world.verify(world.export())
    assert code == 1
    assert "no checkpoint" in said


def test_a_note_of_another_key_is_refused(world):
    world.happen(2)
    world.sign.fresh()
    other = world.signer.verifier
    wrong = type(other)(other.name, bytes(32))
    code, said = world.verify(world.export(), key=wrong)
    assert code == 1
    assert "not signed by" in said
