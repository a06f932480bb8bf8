"""What the pages say can be checked by machine is checked here: settings, links, the form of decisions."""

import re

import pytest

from registry_grpc.server.settings import Settings
from tests.kit.engines import ROOT

DOCS = ROOT / "docs"
GENERATED = {"benchmarks.md", "errors.md", "metrics.md", "promises.md"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted(page for page in DOCS.rglob("*.md") if page.name not in GENERATED)
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def settings_table():
    """Return name and default of each row of the table in docs/operations.md."""
    section = (DOCS / "operations.md").read_text().split("\n## Settings\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| (?:`([^`]*)` )?\|", section, re.MULTILINE)


def shown(field):
    if field.default_factory is not None:
        return "~/.local/share/mreg"
    if field.default is None:
        return ""
    if isinstance(field.default, tuple):
        return ",".join(field.default)
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def anchors(page):
    """Return what `page.md#…` may point at, as code hosts make it from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page, link):
    place, _, anchor = link.partition("#")
    target = page.parent / place if place else page
    if not target.exists():
        return target.name in GENERATED  # not generated yet
    return not anchor or anchor in anchors(target)


def test_the_settings_table_is_what_the_server_takes():
    assert settings_table() == [(name, shown(field)) for name, field in Settings.model_fields.items()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text())
    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts_on_one_page(decision):
    text = decision.read_text()
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Options", "Decision", "Consequences"]
    assert text.startswith(f"# {decision.name[:4]} ")
    assert len(text.splitlines()) <= 60
    assert f"]({decision.name})" in (DOCS / "decisions/README.md").read_text()


def test_decisions_are_numbered_without_gaps():
    assert [int(decision.name[:4]) for decision in DECISIONS] == list(range(1, len(DECISIONS) + 1))
