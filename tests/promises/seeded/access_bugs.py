"""Bugs of access: one edit each, and the proofs that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

ACCESS = "tests/promises/access/"

ACCESS_BUGS = (
    Bug(
        "a foreign project is denied and not hidden",
        "Whoever guesses names learns which projects there are.",
        (Edit("domain/rights.py", "        if project and not self.reaches(project):", "        if False:"),),
        (f"{ACCESS}test_matrix.py",),
    ),
    Bug(
        "the upload of anybody can be written",
        "An id that leaked lets another one write, cancel or look at an upload.",
        (Edit("usecases/uploaders.py", "        if upload.creator != self.name and not", "        if False and not"),),
        (f"{ACCESS}test_hostile.py::test_the_upload_of_somebody_else_does_not_exist",),
    ),
    Bug(
        "open streams are not checked again",
        "A revoked token goes on for as long as its stream.",
        (
            Edit(
                "server/interceptors/streams.py",
                "                    await stream.recheck()",
                "                    pass",
            ),
        ),
        (f"{ACCESS}test_revocation.py::test_access_that_was_taken_away_ends_open_uploads_on_both_replicas[unbind]",),
    ),
    Bug(
        "the condition of a binding is not looked at",
        "Who may set staging sets production.",
        (
            Edit(
                "domain/access.py",
                "        if self.stages and not set(stages) <= set(self.stages):",
                "        if False:",
            ),
        ),
        (f"{ACCESS}test_conditions.py::test_whoever_may_set_staging_sets_staging_and_not_production",),
    ),
    Bug(
        "a limited administrator may bind",
        "Who administers under a condition binds himself without it.",
        (Edit("domain/rights.py", "    return given - UNCONDITIONAL if limited else given", "    return given"),),
        (f"{ACCESS}test_hostile.py::test_nobody_gives_himself_more_than_he_has",),
    ),
    Bug(
        "a shortcut outlives the right to it",
        "A Resolve that is repeated word for word goes on after the binding is gone.",
        (
            Edit(
                "server/interceptors/shortcuts.py",
                "            or plan.access != authorizer.version\n",
                "",
            ),
        ),
        (
            "tests/server/test_shortcuts.py::test_a_shortcut_ends_when_what_callers_may_do_changes",
            "tests/e2e/test_access.py::test_a_change_is_in_force_for_the_very_next_call_also_on_the_hot_path",
        ),
    ),
    Bug(
        "a view that is not told is not loaded anew",
        "A replica whose feed stands still never learns that a binding is gone.",
        (
            Edit(
                "server/following.py",
                "            if self._feed.is_fresh() or time.monotonic() - self._loaded < RELOAD_S:",
                "            if time.monotonic() > 0:",
            ),
        ),
        (f"{ACCESS}test_revocation.py::test_a_replica_whose_feed_stands_still_learns_of_it_all_the_same[unbind]",),
    ),
)
