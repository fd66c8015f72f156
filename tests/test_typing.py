"""``py.typed`` keeps its promise: users' code type-checks, and public signatures are annotated."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import imbemotion

TYPING = Path(__file__).parent / "typing"
MYPY = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
METHODS = (
    "fit", "fit_resample", "fit_transform", "partial_fit", "plot", "predict", "predict_proba",
    "save", "load", "score", "transform",
)  # fmt: skip


def annotations(function, is_method):
    """Yield whether each argument, and what is returned, is annotated."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[is_method:]
    for parameter in parameters:
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield parameter.annotation is not parameter.empty
    if function.__name__ != "__init__":
        yield signature.return_annotation is not signature.empty


def public_functions():
    for name in imbemotion.__all__:
        thing = getattr(imbemotion, name)
        if inspect.isclass(thing):
            for method in ("__init__", *METHODS):
                found = inspect.getattr_static(thing, method, None)
                found = getattr(found, "__func__", found)
                if inspect.isfunction(found) and found.__module__.startswith("imbemotion"):
                    yield f"{name}.{method}", found, True
        else:
            yield name, inspect.unwrap(thing), False


def test_public_signatures_are_annotated():
    missing, n_arguments = [], 0
    for name, function, is_method in public_functions():
        annotated = list(annotations(inspect.unwrap(function), is_method))
        n_arguments += len(annotated)
        missing += [name] * (len(annotated) - sum(annotated))
    assert len(missing) <= 0.05 * n_arguments, missing


@pytest.mark.slow
def test_code_of_users_type_checks(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from imbemotion import CNNClassifier\nCNNClassifier(max_epochs='many')\n")
    settings = TYPING.parents[1] / "pyproject.toml"
    command = [*MYPY, "--config-file", settings, "--cache-dir", tmp_path / "cache"]
    done = subprocess.run(
        [*command, TYPING / "user_code.py", wrong], capture_output=True, text=True
    )
    assert "arg-type" in done.stdout
    assert all("wrong.py" in line for line in done.stdout.splitlines())
