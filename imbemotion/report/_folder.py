"""What a comparison left in its folder, file by file."""

import json

import pandas as pd

from imbemotion.analysis import analyze_confidence
from imbemotion.comparison import Comparison

__all__ = ["RunFolder"]


class RunFolder:
    """The folder of a comparison, of which any file may be missing or damaged.

    Parameters
    ----------
    folder : Path
        Where ``compare_strategies`` wrote.

    Attributes
    ----------
    comparison : Comparison
        What was found.

    settings : dict
        What was compared, on what, and how.

    damaged : list of str
        Names of the files that could not be read.
    """

    def __init__(self, folder):
        self.folder = folder
        self.comparison = Comparison.load(folder)
        self.settings = self.comparison.settings
        self.damaged = []

    @property
    def n_folds(self):
        """Folds over all repeats."""
        return self.settings["n_folds"] * self.settings["n_repeats"]

    def predictions(self, strategy):
        """Give the predictions of all folds, as one table; None where there are none.

        Labels are text, whatever they were.
        """
        tables = self._read_all(strategy, "predictions.csv", _read_predictions)
        return pd.concat(tables, ignore_index=True) if tables else None

    def confidence(self, strategy, predictions):
        """Analyse the probabilities of predictions; None where there are none."""
        classes = [str(label) for label in self.comparison.classes]
        columns = [f"p_{label}" for label in classes]
        if not set(columns) <= set(predictions):
            return None
        try:
            return analyze_confidence(predictions["true"], predictions[columns], classes)
        except ValueError as error:
            self.damaged.append(f"the probabilities of {strategy} ({error})")
            return None

    def histories(self, strategy):
        """Give the epochs of every fold that trained a network."""
        return self._read_all(strategy, "history.csv", _read_history)

    def resampled(self, strategy):
        """Give the training images of each class before and after balancing, in one fold."""
        found = self._read_all(strategy, "balancing_analysis.json", _read_balancing)
        return found[0] if found else None

    def pictures(self, strategy):
        """Give the bytes of the picture of what was made (PNG); None where there is none."""
        found = self._read_all(strategy, "augmented.png", _read_png)
        return found[0] if found else None

    def _read_all(self, strategy, name, read):
        """Read a file of all fits of a strategy; what can't be read is noted."""
        inner = self.settings["strategies"][strategy]["folder"]
        contents = []
        for path in sorted((self.folder / inner).glob(f"fold_*/{name}")):
            try:
                contents.append(read(path))
            except (OSError, ValueError) as error:  # pandas' and json's errors are ValueErrors
                self.damaged.append(f"{path.relative_to(self.folder)} ({type(error).__name__})")
        return contents


def _read_predictions(path):
    text = {"true": str, "predicted": str}
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[])  # "NA" is a name
    return _with_columns(table, "true", "predicted")


def _read_history(path):
    return _with_columns(pd.read_csv(path), "epoch", "train_loss")


def _with_columns(table, *names):
    if table.empty or not set(names) <= set(table):
        raise ValueError(f"The table must hold {names}, got {len(table)} rows of {[*table]}.")
    return table


def _read_balancing(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    if not {"before", "after"} <= set(found):
        raise ValueError(f"The file must hold before and after, got {[*found]}.")
    return found


def _read_png(path):
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{path} must be a PNG file, got {content[:4]!r}.")
    return content
