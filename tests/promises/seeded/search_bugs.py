"""Bugs of search."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

STORE = "tests/contract/store/test_search.py::"
WIRE = "tests/e2e/test_search.py::"

_TWO_METRICS = "metrics.auc, metrics.f1 desc, finalize_time"
SEARCH_BUGS = (
    Bug(
        "facets count what the caller may not see",
        "A viewer of one model learns of the others by numbers.",
        (
            Edit(
                "storage/sql/search/versions.py",
                "    if not visible.models:\n        return of_projects\n    return or_(",
                "    if visible.models:\n        return true()\n    return or_(",
            ),
        ),
        (f"{STORE}test_only_what_is_visible_is_found_and_counted[sqlite]",),
    ),
    Bug(
        "a page begins with the row the last one ended with",
        "Pages repeat a row at each border.",
        (
            Edit(
                "storage/sql/search/ordering.py",
                "        return mine < theirs if keys[0].descending else mine > theirs",
                "        return mine <= theirs if keys[0].descending else mine >= theirs",
            ),
        ),
        (f"{STORE}test_pages_of_models_neither_lose_nor_repeat[sqlite-name]",),
    ),
    Bug(
        "versions without the first metric are sought by the second",
        "An order by two metrics loses what has neither.",
        (
            Edit(
                "storage/sql/search/versions.py",
                "    keys = _keys(order, query, wanted.visible, led=without is None)",
                "    keys = _keys(order, query, wanted.visible, led=True)",
            ),
        ),
        (f"{STORE}test_pages_neither_lose_nor_repeat_while_others_write[sqlite-{_TWO_METRICS}]",),
    ),
    Bug(
        "an update of an old version indexes what it changed only",
        "A version of an older schema is taken for indexed, and is never found by its tags.",
        (
            Edit(
                "storage/sql/search/indexing.py",
                "        whole = whole or not known\n",
                "        del known\n",
            ),
        ),
        (f"{STORE}test_what_an_older_schema_left_is_indexed_whole_whoever_comes_first[sqlite]",),
    ),
    Bug(
        "a version is remembered without its aliases",
        "A search tells the aliases that a version had when it was told first: they change no revision of it.",
        (Edit("ports/search.py", "return self.uid, self.revision, self.aliases", "return self.uid, self.revision"),),
        (f"{WIRE}test_what_was_told_before_is_told_as_it_is_now[sqlite+directory]",),
    ),
    Bug(
        "a package of two ecosystems is counted twice",
        "A facet says more than there are.",
        (
            Edit(
                "storage/sql/search/facets.py",
                '_REPEATED = frozenset({"dependencies"})',
                "_REPEATED = frozenset[str]()",
            ),
        ),
        (f"{STORE}test_facets_count_as_python_does[sqlite-]",),
    ),
    Bug(
        "models are found by versions the caller may not list",
        "Who may list models only learns of metrics by asking.",
        (
            Edit(
                "services/catalogue.py",
                "visible=visible.also(of_versions) if request.version_filter.strip() else visible,",
                "visible=visible,",
            ),
        ),
        (f"{WIRE}test_who_may_list_models_only_learns_nothing_of_versions[sqlite+directory]",),
    ),
)
