"""Every fit, followed in MLflow, W&B or TensorBoard."""

import logging
import os
import re
import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import parent_process
from netrc import NetrcParseError, netrc
from numbers import Real
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from filelock import FileLock
from sklearn.base import clone

from imbemotion._base.validation import DataWarning, shorten

__all__ = [
    "EpochSink",
    "MlflowRun",
    "Names",
    "TensorBoardRun",
    "WandbRun",
    "check_tracking",
    "tracked",
    "wandb_is_set_up",
]

_HOST = "https://api.wandb.ai"


def wandb_is_set_up():
    """Tell whether W&B has a mode, or a key in the environment or the file of logins."""
    if {"WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"} & set(os.environ):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _HOST)).hostname
    places = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    return any(_knows(Path(place).expanduser(), host) for place in places)


def _knows(path, host):
    try:
        return netrc(path).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


_LONGEST_NAME, _LONGEST_VALUE, _PARAMETERS_AT_ONCE = 250, 6000, 100  # what MLflow takes


def _plain(value):
    """Give a value as all tools take it."""
    return value if isinstance(value, str | Real) else str(value)


@contextmanager
def _warnings_only(*names):
    """Let loggers tell nothing below a warning, such as how a new database is set up."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _sqlite_uri(path):
    """Write a path as SQLAlchemy reads it; a longer time limit is for slow disks."""
    from sqlalchemy import URL

    if set("%?") & set(str(path)):
        uri = URL.create("sqlite", database=str(path)).render_as_string()
    else:  # as it stands: MLflow would make a folder of the quoted name
        uri = f"sqlite:///{path}"
    return f"{uri}?timeout=60"


class Names:
    """Make names that every tool takes, different ones for different names."""

    # Letters of any script, digits, ``_``, ``-`` and ``.`` stay; all else becomes ``_``. Where two
    # names become one, the second gets ``_2``.

    def __init__(self):
        self._given = {}

    def __getitem__(self, name):
        if name not in self._given:
            plain = re.sub(r"[^\w.-]", "_", str(name))[:_LONGEST_NAME]
            wanted, number = plain, 1
            while wanted in self._given.values():
                number += 1
                wanted = f"{plain[: _LONGEST_NAME - 5]}_{number}"
            self._given[name] = wanted
        return self._given[name]


class EpochSink:
    """What skorch's loggers write to: a client of MLflow, a run of W&B and a writer at once."""

    # Copies write to the same run; one that was pickled writes nowhere, so that a fitted model can
    # be stored.

    info = SimpleNamespace(run_id="")  # asked for by MlflowLogger

    def __init__(self, log=None):
        self._log = log
        self._training, self._epochs, self._n_logged = 1, {}, 0

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return EpochSink, ()

    def log_metric(self, run_id, key, value, step):
        """Take a figure from MlflowLogger."""
        self._write({key: value}, step)

    def add_scalar(self, tag, scalar_value, global_step):
        """Take a figure from TensorBoard."""
        self._write({tag: scalar_value}, global_step)

    def watch(self, module):
        """Begin a training of WandbLogger, which would log gradients."""
        self._n_logged = 0

    def log(self, figures):
        """Take the figures of an epoch from WandbLogger."""
        self._n_logged += 1
        self._write(figures, self._n_logged)

    def _write(self, figures, epoch):
        """Hand figures on; where epochs begin again, a second training gets other names."""
        if any(epoch <= self._epochs.get(name, 0) for name in figures):
            self._training, self._epochs = self._training + 1, {}
        self._epochs |= dict.fromkeys(figures, epoch)
        suffix = "" if self._training == 1 else f"_{self._training}"
        if self._log is not None:
            self._log({f"{name}{suffix}": value for name, value in figures.items()}, epoch)


class _Run:
    """What the runs of all tools share."""

    def __init__(self, folder, name, group, config):
        folder.mkdir(parents=True, exist_ok=True)
        self._names, self._sink = Names(), EpochSink(self.log)
        project = re.sub(r"[^\w.-]", "_", folder.parent.name) or "imbemotion"
        self._open(folder, project, name, group, config)

    def watch(self, model):
        """Give a copy of a model in which every CNNClassifier logs its epochs, too."""
        from imbemotion.classifier import CNNClassifier

        model = clone(model)
        parts = [model, *model.get_params(deep=True).values()]
        found = {id(part): part for part in parts if isinstance(part, CNNClassifier)}
        for part in found.values():
            part.callbacks = [*(part.callbacks or []), self._logger()]
        return model

    def log(self, figures, epoch=None):
        """Log figures, of an epoch or of the whole fit; what is no number is left out."""
        numbers = {name: float(x) for name, x in figures.items() if isinstance(x, Real)}
        self._log({self._names[name]: x for name, x in numbers.items()}, epoch)


class MlflowRun(_Run):
    """A run in MLflow; the one that is active in the process is left alone."""

    def _open(self, folder, project, name, group, config):
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", project)
        artifacts = None if uri else (folder / "mlflow_artifacts").as_uri()
        with FileLock(folder / "mlflow.lock"), _warnings_only("mlflow", "alembic"):
            self._client = MlflowClient(uri or _sqlite_uri(folder / "mlflow.db"))
            found = self._client.get_experiment_by_name(experiment)
            number = (
                found.experiment_id
                if found
                else self._client.create_experiment(experiment, artifact_location=artifacts)
            )
        run = self._client.create_run(number, run_name=name, tags={"group": group})
        self._id, names = run.info.run_id, Names()
        parameters = [Param(names[k], str(v)[:_LONGEST_VALUE]) for k, v in config.items()]
        for start in range(0, len(parameters), _PARAMETERS_AT_ONCE):
            some = parameters[start : start + _PARAMETERS_AT_ONCE]
            self._client.log_batch(self._id, params=some)

    def _logger(self):
        from skorch.callbacks import MlflowLogger

        return MlflowLogger(
            self._sink, self._sink, create_artifact=False, terminate_after_train=False
        )

    def _log(self, figures, epoch):
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=epoch or 0)

    def close(self, status):
        """End the run."""
        self._client.set_terminated(self._id, status)


class WandbRun(_Run):
    """A run of W&B beside any other one of the process; offline unless it has a key or a mode."""

    def _open(self, folder, project, name, group, config):
        import wandb

        quiet = wandb.Settings(silent=True, console="off", disable_git=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", project),
            group=group,
            name=name,
            config={key: _plain(value) for key, value in config.items()},
            dir=folder,
            mode=None if wandb_is_set_up() else "offline",
            reinit="create_new",
            settings=quiet,
        )
        self._run.define_metric("*", step_metric="epoch")

    def _logger(self):
        from skorch.callbacks import WandbLogger

        return WandbLogger(self._sink, save_model=False)

    def _log(self, figures, epoch):
        self._run.log(figures if epoch is None else {**figures, "epoch": epoch})

    def close(self, status):
        """End the run."""
        self._run.finish(exit_code=0 if status == "FINISHED" else 1)
        if parent_process() is not None:  # a worker ends without the hook that waits for W&B
            import wandb

            wandb.teardown()


class TensorBoardRun(_Run):
    """A folder of event files; an earlier run of the same name is hidden."""

    def _open(self, folder, project, name, group, config):
        from torch.utils.tensorboard import SummaryWriter

        parts = [re.sub(r"[^\w.-]", "_", part).lstrip(".") or "_" for part in name.split("/")]
        self._config = {key: _plain(value) for key, value in {**config, "group": group}.items()}
        self._writer = SummaryWriter(folder.joinpath(*parts), purge_step=0)
        values = {key: " ".join(str(value).split()) for key, value in self._config.items()}
        table = "\n".join(f"| {key} | {value} |" for key, value in values.items())
        self._writer.add_text("config", f"| parameter | value |\n| --- | --- |\n{table}")

    def _logger(self):
        from skorch.callbacks import TensorBoard

        return TensorBoard(self._sink, close_after_train=False, key_mapper=str)

    def _log(self, figures, epoch):
        from torch.utils.tensorboard.summary import hparams

        if epoch is None:  # figures of the whole fit, shown beside the parameters
            # as add_hparams does, whose second file TensorBoard may read first and then hide
            for summary in hparams(self._config, figures):
                self._writer.file_writer.add_summary(summary)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)

    def close(self, status):
        """End the run."""
        self._writer.add_text("status", status)
        self._writer.close()


_TRACKERS = {  # by name: the class in _trackers.py, and the packages that it takes
    "mlflow": ("MlflowRun", ["mlflow", "sqlalchemy", "alembic"]),
    "tensorboard": ("TensorBoardRun", ["tensorboard"]),
    "wandb": ("WandbRun", ["wandb"]),
}


def check_tracking(kind, folder):
    """Check, before anything is fitted, that fits can be followed."""
    # Nothing is imported: the packages start threads, which a process that is to be forked should
    # not have.
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
    """Follow one fit; its run ends with the block, and counts as failed after an error."""
    if kind is None:
        yield _Untracked()
        return
    _check_packages(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what they use is theirs to mend
        make = getattr(import_module("imbemotion.tracking"), _TRACKERS[kind][0])
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
