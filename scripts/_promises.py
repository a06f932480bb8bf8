"""docs/promises.md: what is promised and which test tries to break it, collected from the `promise` marks."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Proofs = dict[tuple[str, str], list[str]]


def promises_page() -> str:
    """The page. Fails when a mark names a promise or a part that does not exist."""
    sys.path.insert(0, str(ROOT))
    from tests.kit.promises import PROMISES

    proofs = collect(ROOT / "tests")
    known = {(key, part) for key, promise in PROMISES.items() for part in promise.parts}
    if unknown := sorted(set(proofs) - known):
        sys.exit(f"promise marks that tests/kit/promises.py does not know: {unknown}")
    lines = [
        "# Promises",
        "",
        "Made by `scripts/docs` from `tests/kit/promises.py` and the marks of the tests; do not edit. Each proof",
        "tries to break the promise on real processes. `pytest -m promise` runs them all; `make test` does too, so",
        "what is *proven* here passed when main was last green. What is *not yet proven* is not claimed.",
        "",
        "| | promise | state |",
        "|---|---|---|",
    ]
    for key, promise in PROMISES.items():
        lines.append(f"| {key} | {promise.text} | {_state([(key, part) in proofs for part in promise.parts])} |")
    for key, promise in PROMISES.items():
        if not any((key, part) in proofs for part in promise.parts):
            continue
        lines += ["", f"## {key}", "", promise.text, ""]
        for part, text in promise.parts.items():
            lines.append(f"- **{part}**: {text}")
            lines += [f"  - `{test}`" for test in proofs.get((key, part), ["*not yet proven*"])]
    return "\n".join(lines).replace("`*", "*").replace("*`", "*") + "\n"


def _state(proven: list[bool]) -> str:
    if all(proven):
        return "proven"
    return f"{sum(proven)} of {len(proven)} parts proven" if any(proven) else "*not yet proven*"


def collect(tests: Path) -> Proofs:
    """Tests by promise and part. Read from the source, so that generating needs no engines."""
    proofs: Proofs = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        shared = [mark for node in tree.body if isinstance(node, ast.Assign) for mark in _of_module(node)]
        for name, node in _functions(tree):
            for mark in [*shared, *_marks(node.decorator_list)]:
                proofs[mark].append(f"{path.relative_to(tests.parent)}::{name}")
    return proofs


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for each in members:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                yield prefix + each.name, each


def _of_module(node: ast.Assign) -> Iterator[tuple[str, str]]:
    if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets):
        values = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
        yield from _marks(values)


def _marks(decorators: list[ast.expr]) -> Iterator[tuple[str, str]]:
    for each in decorators:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "promise":
            key, part = (ast.literal_eval(argument) for argument in each.args)
            yield key, part
