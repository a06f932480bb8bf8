"""Bugs of what the objectives are measured by, and the proofs that should notice."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

_SOURCES = "tests/slo/test_sources.py"

SLO_BUGS = (
    Bug(
        "old news counts as late news",
        "Every watch that comes back after a night calls somebody.",
        (Edit("services/watching.py", " and revision.number > head", ""),),
        (f"{_SOURCES}::test_news_of_a_stage_is_timed_for_a_watch_that_was_there_and_not_for_one_that_catches_up",),
    ),
    Bug(
        "the time of the client is ours",
        "One trainer behind a slow line spends the budget of uploads.",
        (Edit("services/uploads.py", "                waited_s += paused_s\n", ""),),
        (f"{_SOURCES}::test_the_time_a_client_takes_is_not_ours",),
    ),
    Bug(
        "a replica goes on showing what it counted while it led",
        "A store that was enlarged stays nearly full for the alert, until a restart.",
        (Edit("server/leader.py", "                self._observer.deposed()\n", "                pass\n"),),
        (f"{_SOURCES}::test_a_replica_that_leads_no_more_shows_nothing_of_what_it_counted",),
    ),
)
