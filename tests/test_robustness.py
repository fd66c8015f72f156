"""docs/robustness.md lists the promises of tests marked `kind`; run this file to write it."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "robustness.md"
PARTS = {
    "A": "Leaks and groups",
    "B": "Labels and lists",
    "C": "Pixels",
    "D": "Samplers, losses, networks",
    "E": "Work, faults and hostile files",
}
HEAD = """# Robustness

What the library promises for inputs that go wrong, by kind. Every promise is held by a test, which
tries one example and at least three siblings of it. `python tests/test_robustness.py` writes this
page from the tests' marks (`@pytest.mark.kind`).
"""


def marks_of(path):
    """Yield the kind, its promise, the test's name and its number of cases."""
    tree = ast.parse(path.read_text())
    for test in ast.walk(tree):
        calls = [d for d in getattr(test, "decorator_list", ()) if isinstance(d, ast.Call)]
        for mark in calls:
            if ast.unparse(mark.func) == "pytest.mark.kind":
                kind, promise = map(ast.literal_eval, mark.args)
                yield kind, promise, f"{path.name}::{test.name}", count_cases(calls, tree)


def count_cases(decorators, tree):
    """Return how many cases a test tries; drawn ones are many."""
    lists = {ast.unparse(n.targets[0]): n.value for n in tree.body if isinstance(n, ast.Assign)}
    n_cases = 1
    for call in decorators:
        if ast.unparse(call.func).endswith("given"):
            return 100
        if ast.unparse(call.func).endswith("parametrize"):
            cases = lists.get(ast.unparse(call.args[1]), call.args[1])
            n_cases *= len(getattr(cases, "elts", None) or cases.keys)
    return n_cases


MARKS = sorted(
    (mark for path in TESTS.glob("test_*.py") for mark in marks_of(path)),
    key=lambda mark: (mark[0][0], int(mark[0][1:]), mark[2]),
)


def page():
    """Return the text of docs/robustness.md."""
    lines = [HEAD]
    for part, title in PARTS.items():
        rows = [f"| {k} | {text} | `{name}` |" for k, text, name, _ in MARKS if k[0] == part]
        lines += [f"## {part}. {title}\n", "| Kind | Promise | Test |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def test_page_lists_every_promise():
    assert PAGE.read_text() == page(), "run python tests/test_robustness.py"


@pytest.mark.parametrize(("kind", "promise", "name", "n_cases"), MARKS)
def test_promise_is_tried_on_siblings(kind, promise, name, n_cases):
    assert kind[0] in PARTS
    assert promise.endswith(".")
    assert n_cases >= 4, f"{name} tries {n_cases} cases of {kind}"


if __name__ == "__main__":
    PAGE.write_text(page())
