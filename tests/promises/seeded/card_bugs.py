"""Bugs of cards, comparisons and what is read from files."""

from __future__ import annotations

from tests.promises.seeded.bugs import Bug, Edit

CARDS = "tests/e2e/test_cards.py::"
COMPARE = "tests/e2e/test_compare.py::"
FILES = "tests/client/test_cards.py::"

CARD_BUGS = (
    Bug(
        "more is better, whatever the metric",
        "A loss that rose is told as progress.",
        (
            Edit(
                "domain/compare.py",
                "    return Cell(value, delta, (delta > 0) == (direction is Direction.MAXIMISE))",
                "    return Cell(value, delta, delta > 0)",
            ),
        ),
        ("tests/unit/test_compare.py::test_deltas_are_against_the_first",),
    ),
    Bug(
        "a comparison tells evidence to everybody who reads versions",
        "Findings of scanners are told to whoever may not list them.",
        (
            Edit(
                "usecases/compare.py",
                '    if may("evidence.list", version.name):\n',
                "    if version.uid:\n",
            ),
        ),
        (f"{COMPARE}test_nobody_sees_what_they_may_not_list[sqlite+directory]",),
    ),
    Bug(
        "a bill of materials is complete although files are left out",
        "Whoever checks the model by it believes that there is nothing else.",
        (
            Edit(
                "domain/bom.py",
                '"incomplete" if files is None else "complete"',
                '"complete"',
            ),
        ),
        (f"{COMPARE}test_nobody_sees_what_they_may_not_list[sqlite+directory]",),
    ),
    Bug(
        "packages are compared by the name somebody wrote",
        "NumPy was removed and numpy was added, it says.",
        (
            Edit(
                "domain/compare.py",
                "        name = normalised_package(each.ecosystem, each.name)\n",
                "        name = each.name if normalised_package else each.name\n",
            ),
        ),
        ("tests/unit/test_compare.py::test_packages_are_one_whatever_their_name_is_written_like",),
    ),
    Bug(
        "a copy leaves the card behind",
        "What people must know of a model is not known where it is used.",
        (Edit("usecases/copying.py", "                card=original.card,\n", ""),),
        (f"{CARDS}test_copies_and_events_of_a_card[sqlite+directory]",),
    ),
    Bug(
        "events carry the card",
        "Every watcher gets a hundred kilobytes with each promotion.",
        (
            Edit("services/codec/events.py", '        message.version.ClearField("card")\n', ""),
            Edit("watch/recent.py", 'model_card="", card=None, description=""', 'model_card="", description=""'),
        ),
        (f"{CARDS}test_copies_and_events_of_a_card[sqlite+directory]",),
    ),
    Bug(
        "a card that changes is found by what it was",
        "Search for a licence finds what has another one by now.",
        (
            Edit(
                "storage/sql/search/indexing.py",
                "        and one.owner == other.owner\n        and one.card == other.card\n    )\n",
                "        and one.owner == other.owner\n    )\n",
            ),
        ),
        (f"{CARDS}test_versions_are_found_by_their_cards[sqlite+directory]",),
    ),
    Bug(
        "an empty card satisfies a policy that demands one",
        "A version without any of it goes to production.",
        (Edit("domain/fields.py", " or value == ModelCard()", ""),),
        ("tests/unit/test_policies.py::test_required_fields",),
    ),
    Bug(
        "YAML may stand for itself many times over",
        "A card of a kilobyte takes all the memory of who imports it.",
        (
            Edit(
                "client/yaml_text.py",
                "        if isinstance(event, yaml.AliasEvent):\n",
                "        if isinstance(event, yaml.AliasEvent) and depth < 0:\n",
            ),
        ),
        (f"{FILES}test_row_73_yaml_that_is_built_to_hurt_is_refused",),
    ),
    Bug(
        "YAML is read before anybody asked how deep it is",
        "A card of brackets ends the program of who imports it.",
        (Edit("client/yaml_text.py", "        _check(yaml, text, where)\n", "        _check(yaml, '', where)\n"),),
        (f"{FILES}test_row_73_yaml_that_is_built_to_hurt_is_refused",),
    ),
    Bug(
        "a password in a requirements file is kept with the model",
        "Whoever pulls the model reads the token of the package index.",
        (Edit("client/requirements.py", "    if _PASSWORD.search(text):\n", "    if _PASSWORD.search(str(path)):\n"),),
        ("tests/client/test_requirements.py::test_what_cannot_be_read_says_where",),
    ),
)
