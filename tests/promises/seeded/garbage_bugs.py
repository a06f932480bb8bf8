"""Bugs of the collector, and the proofs that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

_STEPS = "tests/promises/garbage/test_steps.py"
_MARK = "tests/promises/garbage/test_mark.py"

GARBAGE_BUGS = (
    Bug(
        "an object goes with the first of its rows",
        "A copy in another project has no bytes any more.",
        (
            Edit(
                "usecases/garbage.py",
                "(doomed if len(over) == len(blobs) else shared).extend(over)",
                "doomed.extend(over)",
            ),
        ),
        (f"{_STEPS}::test_an_object_that_a_copy_names_stays_until_the_copy_goes_too",),
    ),
    Bug(
        "grace is not kept",
        "A database that is put back finds no bytes for what was deleted since.",
        (
            Edit("usecases/garbage.py", "reader.garbage.due(reader.now - self.grace", "reader.garbage.due(reader.now"),
            Edit("usecases/garbage.py", "before = unit.now - self.grace", "before = unit.now"),
        ),
        (f"{_STEPS}::test_a_replaced_file_is_marked_waits_for_its_grace_and_goes",),
    ),
    Bug(
        "an orphan goes at first sight",
        "What an old backup of the database does not know is deleted before anybody can notice.",
        (Edit("usecases/orphans.py", "seen[each] <= now - APART", "seen[each] <= now"),),
        (f"{_STEPS}::test_an_old_object_that_is_seen_for_the_first_time_waits_a_day",),
    ),
    Bug(
        "the mark is not looked at",
        "A server with the address of another database empties the bucket.",
        (Edit("usecases/garbage.py", "                self.mark.require(leave=True)\n", "                pass\n"),),
        (f"{_MARK}::test_another_database_deletes_nothing",),
    ),
    Bug(
        "what was lent is collected",
        "A caller was told that bytes are here, and attaches them in vain.",
        (
            Edit(
                "usecases/garbage.py",
                "return is_unneeded and is_old and not is_leased",
                "return is_unneeded and is_old",
            ),
            Edit(
                "storage/sql/garbage.py",
                '_IS_DUE = and_(blob.c.condemned_at <= bindparam("before", type_=blob.c.condemned_at.type), _NO_LEASE)',
                '_IS_DUE = blob.c.condemned_at <= bindparam("before", type_=blob.c.condemned_at.type)',
            ),
            Edit("storage/sql/garbage.py", "and_(~_HAS_FILE, _NO_LEASE)", "and_(~_HAS_FILE)"),
        ),
        (f"{_STEPS}::test_what_a_caller_was_told_is_here_stays_for_its_lease",),
    ),
)
