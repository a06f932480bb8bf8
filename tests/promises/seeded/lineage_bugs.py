"""Bugs of lineage."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

STORE = "tests/contract/store/test_lineage.py::"
WIRE = "tests/e2e/test_lineage.py::"

LINEAGE_BUGS = (
    Bug(
        "whoever links does not wait for others who link",
        "Two writers that close a cycle between them do not see each other's edge, and both are let through.",
        (
            Edit(
                "storage/sql/lineage/graph.py",
                '        self._session.change(_LOCK, {"of": project})\n',
                "        return\n",
            ),
        ),
        (f"{STORE}test_two_writers_never_close_a_cycle_between_them[postgresql]",),
    ),
    Bug(
        "only the edges that were linked can close a cycle",
        "A draft is given a parent that came from it.",
        (
            Edit(
                "usecases/versions.py",
                "                require_acyclic(unit, name.project, edges, owner=before.uid)\n",
                "                del edges\n",
            ),
        ),
        (f"{STORE}test_whatever_closes_a_cycle_is_refused_by_whoever_says_it[sqlite]",),
    ),
    Bug(
        "the way goes through what the caller may not see",
        "What lies behind a hidden version is shown, though the version itself is not.",
        (
            Edit(
                "storage/sql/lineage/walking.py",
                "    return and_(live, or_(whole, alone) if visible.models else whole)\n",
                "    return live\n",
            ),
        ),
        (
            f"{STORE}test_what_is_only_reached_through_what_is_hidden_is_left_out[sqlite]",
            f"{WIRE}test_whoever_sees_one_model_sees_its_part[sqlite+directory]",
        ),
    ),
    Bug(
        "what a version said before stays in the graph",
        "A data set that a draft has nothing to do with any more still counts for its impact.",
        (
            Edit(
                "storage/sql/lineage/rows.py",
                "    if not is_new:\n        forget_owner(session, version.uid)\n    if not edges:\n",
                "    if not is_new and not edges:\n        forget_owner(session, version.uid)\n    if not edges:\n",
            ),
        ),
        (f"{STORE}test_what_is_said_anew_replaces_exactly_what_was_said[sqlite]",),
    ),
    Bug(
        "what does not run any more counts as running",
        "Whoever asks which deployments a poisoned data set went into is sent to some that are long gone.",
        (
            Edit(
                "storage/sql/lineage/walking.py",
                "        return found.where(table.c.state != DeploymentState.RETIRED)\n",
                "        return found\n",
            ),
        ),
        (f"{STORE}test_from_a_dataset_to_the_deployments_over_copies_reports_and_other_projects[sqlite]",),
    ),
)
