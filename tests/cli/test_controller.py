"""`mreg controller`: what it says before it begins, and that the page's setup gives it the rights it is tested with."""

import json
import re
import shlex

from tests.kit.controllers import PERMISSIONS
from tests.kit.engines import ROOT

SETUP = ["roles", "accounts", "bindings", "tokens"]


def test_two_scopes_contradict_each_other(mreg):
    result = mreg("controller", "--namespace", "a", "--all-namespaces")
    assert result.code == 2
    assert "contradict each other" in result.err


def test_without_a_cluster_it_says_where_it_looked(mreg, tmp_path):
    result = mreg("controller", "--kubeconfig", str(tmp_path / "nowhere"))
    assert result.code == 1
    assert "no cluster" in result.err
    assert "nowhere" in result.err


def test_the_setup_of_the_page_gives_what_the_controller_needs(connected):
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    block = re.search(r"## Running it\n\n```sh\n(.*?)```", page, re.DOTALL)[1].replace("\\\n", "")
    commands = [shlex.split(part) for line in block.splitlines() for part in re.split("&&|>", line)]
    ours = [words[1:] for words in commands if words[:1] == ["mreg"] and words[1] in SETUP]
    assert [words[0] for words in ours] == SETUP
    for words in ours:
        result = connected(*words)
        assert result.code == 0, (words, result.err)
    result = connected("roles", "get", "controller", "-o", "json")
    assert set(json.loads(result.out)["permissions"]) == set(PERMISSIONS)
