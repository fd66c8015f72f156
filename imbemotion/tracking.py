"""Trackers: every fit as a run in MLflow, Weights & Biases or TensorBoard."""

import logging
import os
import re
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain, count
from multiprocessing import parent_process
from numbers import Real
from pathlib import Path

from filelock import FileLock
from sklearn.base import clone
from sklearn.utils import gen_batches

from imbemotion._base.registry import TRACKERS
from imbemotion._base.validation import DataWarning, shorten

__all__ = ["MlflowRun", "Names", "Run", "TensorBoardRun", "WandbRun", "check_tracking", "tracked"]

_WANDB_HOST = "https://api.wandb.ai"
_WANDB_PATIENCE = 300  # seconds; its own 30 are too few where fits use every core
_LONGEST_NAME, _LONGEST_VALUE, _PARAMETERS_AT_ONCE = 240, 6000, 100  # of MLflow: 250, 6000, 100


class Names(dict):
    """Map names to different names that every tool accepts; equal ones are numbered."""

    def __missing__(self, name):
        plain = _plain(name)[:_LONGEST_NAME]
        wanted = chain([plain], (f"{plain}_{number}" for number in count(2)))
        self[name] = next(w for w in wanted if w not in self.values())
        return self[name]


def _plain(name):
    """Replace all but letters of any script, digits, ``_``, ``-`` and ``.`` by ``_``."""
    return re.sub(r"[^\w.-]", "_", str(name))


class _Untracked:
    """What a stored run becomes: it logs nothing."""

    def log_epoch(self, figures):
        pass


class Run:
    """A tracked fit; ``start``, ``log_figures`` and ``end`` of its subclasses call a tool."""

    packages = ()  # that have to be installed

    def __init__(self, folder, name, group, config):
        folder.mkdir(parents=True, exist_ok=True)
        self._names, self._training, self._last_epoch = Names(), 1, 0
        project = _plain(folder.parent.name) or "imbemotion"
        plain = {k: v if isinstance(v, str | Real) else str(v) for k, v in config.items()}
        self.start(folder, project, name, group, plain)

    def __deepcopy__(self, memo):
        return self  # clones of a watched model log to the same run

    def __reduce__(self):
        return _Untracked, ()  # a watched model can be stored, and logs nothing later

    def watch(self, model):
        """Return a copy of a model in which every CNNClassifier logs its epochs."""
        from imbemotion.callbacks import EpochHook
        from imbemotion.classifier import CNNClassifier

        model = clone(model)
        parts = [model, *model.get_params(deep=True).values()]
        networks = {id(part): part for part in parts if isinstance(part, CNNClassifier)}
        for network in networks.values():
            callbacks = (network.net_params or {}).get("callbacks") or []
            network.set_params(net__callbacks=[*callbacks, EpochHook(self.log_epoch)])
        return model

    def log_epoch(self, figures):
        """Log the last row of a network's history."""
        from skorch.callbacks.logging import filter_log_keys

        epoch = figures["epoch"]
        if epoch <= self._last_epoch:  # a further training in this fit: its figures are renamed
            self._training += 1
        self._last_epoch = epoch
        suffix = "" if self._training == 1 else f"_{self._training}"
        names = set(filter_log_keys(figures)) - {"step", "n_steps"}
        self.log({f"{name}{suffix}": figures[name] for name in sorted(names)}, epoch)

    def log(self, figures, epoch=None):
        """Log the numbers among figures, of an epoch or of the whole fit."""
        numbers = {name: float(x) for name, x in figures.items() if isinstance(x, Real)}
        self.log_figures({self._names[name]: x for name, x in numbers.items()}, epoch)


class MlflowRun(Run):
    """A run in MLflow; the active one of the process is left alone."""

    packages = ("mlflow", "sqlalchemy", "alembic")

    def start(self, folder, project, name, group, config):
        """Create the run, and the database and experiment if needed."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = os.environ.get("MLFLOW_TRACKING_URI")
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME", project)
        artifacts = None if uri else (folder / "mlflow_artifacts").as_uri()
        with FileLock(folder / "mlflow.lock"):
            self._client = client = MlflowClient(uri or _sqlite_uri(folder / "mlflow.db"))
            found = client.get_experiment_by_name(wanted)
            number = found.experiment_id if found else client.create_experiment(wanted, artifacts)
        run = client.create_run(number, run_name=name, tags={"group": group})
        self._id, names = run.info.run_id, Names()
        parameters = [Param(names[k], str(v)[:_LONGEST_VALUE]) for k, v in config.items()]
        for some in gen_batches(len(parameters), _PARAMETERS_AT_ONCE):
            client.log_batch(self._id, params=parameters[some])

    def log_figures(self, figures, epoch):
        """Log each figure as a metric."""
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=epoch or 0)

    def end(self, status):
        """End the run."""
        self._client.set_terminated(self._id, status)


def _sqlite_uri(path):
    """Return a path as SQLAlchemy reads it, with a time limit for slow disks."""
    from sqlalchemy import URL

    uri = f"sqlite:///{path}"
    if set("%?") & set(str(path)):  # not quoted always: MLflow would create a folder of that name
        uri = URL.create("sqlite", database=str(path)).render_as_string()
    return f"{uri}?timeout=60"


class WandbRun(Run):
    """A run of W&B beside others of the process; offline without a key or a mode."""

    packages = ("wandb",)

    def start(self, folder, project, name, group, config):
        """Start W&B's service if needed, and the run."""
        import wandb

        wandb.setup(wandb.Settings(x_service_wait=_WANDB_PATIENCE))
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", project), group=group, name=name,
            config=config, dir=folder,
            mode=os.environ.get("WANDB_MODE") if _wandb_is_set_up() else "offline",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, init_timeout=_WANDB_PATIENCE
            ),
        )  # fmt: skip
        self._run.define_metric("*", step_metric="epoch")

    def log_figures(self, figures, epoch):
        """Log all figures at once."""
        self._run.log(figures if epoch is None else {**figures, "epoch": epoch})

    def end(self, status):
        """End the run."""
        self._run.finish(exit_code=0 if status == "FINISHED" else 1)
        if parent_process() is not None:  # a worker ends without the hook that waits for W&B
            import wandb

            wandb.teardown()


def _wandb_is_set_up():
    """Check whether W&B has a mode, or a key in the environment or the netrc file."""
    if {"WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"} & set(os.environ):
        return True
    from requests.utils import get_netrc_auth  # as W&B itself does

    return get_netrc_auth(os.environ.get("WANDB_BASE_URL", _WANDB_HOST)) is not None


class TensorBoardRun(Run):
    """A folder of event files; an earlier run of the same name is hidden."""

    packages = ("tensorboard",)

    def start(self, folder, project, name, group, config):
        """Open the event file and write a table of the parameters."""
        from torch.utils.tensorboard import SummaryWriter

        parts = [_plain(part).lstrip(".") or "_" for part in name.split("/")]
        self._config = {**config, "group": group}
        self._writer = SummaryWriter(folder.joinpath(*parts), purge_step=0)
        values = {key: " ".join(str(value).split()) for key, value in self._config.items()}
        table = "\n".join(f"| {key} | {value} |" for key, value in values.items())
        self._writer.add_text("config", f"| parameter | value |\n| --- | --- |\n{table}")

    def log_figures(self, figures, epoch):
        """Log each figure as a scalar, and those of an entire fit beside the parameters."""
        from torch.utils.tensorboard.summary import hparams

        if epoch is None:
            # not add_hparams: TensorBoard may read its second file first and then hide it
            for summary in hparams(self._config, figures):
                self._writer.file_writer.add_summary(summary)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)

    def end(self, status):
        """Write the status and close the file."""
        self._writer.add_text("status", status)
        self._writer.close()


def check_tracking(kind, folder):
    """Check, before anything is fitted, that fits can be tracked."""
    # Imports no tool: they start threads, which a process that is to be forked should not have.
    _find_tool(kind)
    if folder is None:
        raise ValueError(f"track={kind!r:.90} needs a folder to write to. Pass folder as well.")
    if kind == "wandb" and not _wandb_is_set_up():
        warnings.warn(
            "W&B has no key, so its runs stay on this computer, in tracking/wandb below the "
            "results, from where `wandb sync` uploads them. Run `wandb login` first, or set "
            "WANDB_MODE=offline if that is what you want.", DataWarning, stacklevel=3,
        )  # fmt: skip


@contextmanager
def tracked(kind, folder, name, group, config):
    """Track one fit; its run ends with the block, and counts as failed after an error."""
    tool, status, shown = _find_tool(kind), "FAILED", logging.root.manager.disable
    logging.disable(logging.INFO)  # what tools report as they start, such as new databases
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what the tools use
            run = tool(Path(folder).resolve() / "tracking", name, group, config)
    finally:
        logging.disable(shown)
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.end(status)


def _find_tool(kind):
    """Return the class of a tool, and refuse one whose packages are missing."""
    TRACKERS.expect(kind, "track")
    tool = TRACKERS.load(kind)
    missing = [package for package in tool.packages if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"Tracking by {kind} needs packages that are missing ({shorten(missing)}): "
            "pip install 'imbemotion[tracking]'"
        )
    return tool
