"""Runs of MLflow, W&B and TensorBoard that take figures under the same names."""

import logging
import os
import re
from contextlib import contextmanager
from multiprocessing import parent_process
from numbers import Real
from types import SimpleNamespace

from filelock import FileLock
from sklearn.base import clone

from imbemotion.comparison._wandb import wandb_is_set_up

__all__ = ["EpochSink", "MlflowRun", "Names", "TensorBoardRun", "WandbRun"]

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
    """Make names that every tool takes, different ones for different names.

    Letters of any script, digits, ``_``, ``-`` and ``.`` stay; all else becomes ``_``. Where
    two names become one, the second gets ``_2``.

    Examples
    --------
    >>> names = Names()
    >>> [names[name] for name in ("f1_sad", "f1_$ad", "f1_/ad", "f1_$ad")]
    ['f1_sad', 'f1__ad', 'f1__ad_2', 'f1__ad']
    """

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
    """What skorch's loggers write to: a client of MLflow, a run of W&B and a writer at once.

    Copies write to the same run; one that was pickled writes nowhere, so that a fitted model
    can be stored.

    Parameters
    ----------
    log : callable or None
        Called with figures (dict) and the epoch, from 1.
    """

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
        self._writer.add_text("status", status)
        self._writer.close()
