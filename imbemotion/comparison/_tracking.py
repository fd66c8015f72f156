"""Every fit of a comparison, followed in MLflow, W&B or TensorBoard."""

import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from imbemotion._validation import DataWarning, shorten
from imbemotion.comparison._wandb import wandb_is_set_up

__all__ = ["check_tracking", "tracked"]

_TRACKERS = {  # by name: the class in _trackers.py, and the packages that it takes
    "mlflow": ("MlflowRun", ["mlflow", "sqlalchemy", "alembic"]),
    "tensorboard": ("TensorBoardRun", ["tensorboard"]),
    "wandb": ("WandbRun", ["wandb"]),
}


def check_tracking(kind, folder):
    """Check, before anything is fitted, that fits can be followed.

    Nothing is imported: the packages start threads, which a process that is to be forked
    should not have.

    Parameters
    ----------
    kind : {"mlflow", "tensorboard", "wandb"} or None
        The tool.

    folder : str, path or None
        Where results are written.

    Raises
    ------
    ValueError
        If there is no such tool, or no folder.

    ImportError
        If its packages are missing.

    Warns
    -----
    DataWarning
        If W&B has neither a key nor a mode, so that runs stay on this computer.

    Examples
    --------
    >>> check_tracking(None, None)
    """
    if kind is None:
        return
    _check_packages(kind)
    if folder is None:
        raise ValueError(f"track={kind!r} needs a folder to write to. Give folder as well.")
    if kind == "wandb" and not wandb_is_set_up():
        warnings.warn(
            "W&B has no key, so its runs stay on this computer, in tracking/wandb below the "
            "results, from where `wandb sync` uploads them. Run `wandb login` first, or set "
            "WANDB_MODE=offline if that is what you want.",
            DataWarning,
            stacklevel=3,
        )


@contextmanager
def tracked(kind, folder, *, name, group, config):
    """Follow one fit; its run ends with the block, and counts as failed after an error.

    Parameters
    ----------
    kind : {"mlflow", "tensorboard", "wandb"} or None
        The tool. None follows nothing and imports nothing. Call ``check_tracking`` first,
        once for all fits.

    folder : str or path
        Results of the comparison. The tools write below its folder ``tracking``: MLflow to
        ``mlflow.db``, unless MLFLOW_TRACKING_URI is set, and TensorBoard to a folder of the
        run's name. W&B uploads its runs if there is a key, or does what WANDB_MODE says.

    name : str
        Of the run, such as ``"smote/fold_0_seed_0"``.

    group : str
        What runs belong together by, such as the strategy.

    config : dict
        What was fitted; the parameters of the run.

    Yields
    ------
    run : object
        ``run.watch(model)`` gives the model with a logger for every epoch, and
        ``run.log(figures)`` notes final figures. Names are the same whatever the tool.

    Examples
    --------
    >>> with tracked(None, "results", name="none/0", group="none", config={}) as run:
    ...     model = run.watch("any model")
    ...     run.log({"macro_f1": 0.5})
    >>> model
    'any model'
    """
    if kind is None:
        yield _Untracked()
        return
    _check_packages(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what they use is theirs to mend
        make = getattr(import_module("imbemotion.comparison._trackers"), _TRACKERS[kind][0])
        run = make(Path(folder).resolve() / "tracking", name, group, config)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.close(status)


def _check_packages(kind):
    if kind not in _TRACKERS:
        raise ValueError(f"track must be None, mlflow, tensorboard or wandb, got {kind!r}.")
    missing = [package for package in _TRACKERS[kind][1] if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"Tracking by {kind} needs packages that are missing ({shorten(missing)}): "
            "pip install 'imbemotion[tracking]'"
        )


class _Untracked:
    """A run that nobody follows."""

    def watch(self, model):
        return model

    def log(self, figures):
        pass
