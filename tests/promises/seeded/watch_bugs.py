"""Bugs of watches, and the proof that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import BUGS, Bug, Edit

_PROOFS = ("tests/promises/watch/test_replicas.py::test_no_watch_misses_repeats_or_reorders_anything",)
_BY_SEQUENCE = next(bug for bug in BUGS if bug.name == "events are numbered by a sequence")

WATCH_BUGS = (
    Bug(
        "watched events are numbered by a sequence",
        "A watch passes over a change that is committed after one with a higher number.",
        _BY_SEQUENCE.edits,
        _PROOFS,
    ),
    Bug(
        "a full memory drops events",
        "Who falls behind what is kept in memory goes on without what was dropped, and is not told.",
        (
            Edit("watch/recent.py", "KEPT_EVENTS = 10_000", "KEPT_EVENTS = 20"),
            Edit(
                "watch/recent.py",
                "                if known is None:\n",
                "                if known is None and number <= self._floor:\n"
                "                    continue\n"
                "                if known is None:\n",
            ),
            Edit(
                "watch/recent.py", "        return found\n\n\ndef light", "        return found or None\n\n\ndef light"
            ),
        ),
        _PROOFS,
    ),
    Bug(
        "a watch goes on at its token, not behind it",
        "Who comes back gets the last revision twice.",
        (
            Edit(
                "usecases/events.py",
                "        require_kept(reader, given.revision)\n        return given\n",
                "        require_kept(reader, given.revision)\n"
                "        return Position(uid, epoch, given.revision - 1)\n",
            ),
        ),
        _PROOFS,
    ),
)
