"""DataConfig: where data are, and how they are split and balanced."""

from dataclasses import dataclass, fields
from numbers import Integral
from os import PathLike

from imbemotion.samples import check_strategy
from imbemotion.splitting._split import check_ratios

__all__ = ["DataConfig"]

_GROUPINGS = ("none", "name", "groups")


@dataclass(kw_only=True)
class DataConfig:
    """Where data are, and how they are split and balanced; for :func:`load_split`.

    The values are checked when it is made. Of a dict, as a YAML file gives it, make one by
    ``DataConfig(**settings)``.

    Parameters
    ----------
    dataset_path : str or Path
        The source: a folder with a folder per class, a folder with a ``legend.csv``, a CSV file
        or an ``.npz`` archive.

    balance_emotions : bool, default=True
        Whether training is balanced. Validation and test never are.

    balancing_strategy : str, int or float, default="oversample"
        As ``strategy`` of :func:`balance_samples`: ``"oversample"``, ``"undersample"``,
        ``"hybrid"``, ``"weighted"``, and so on.

    use_stratified_split : bool, default=True
        Whether every class is split by itself.

    train_split : float, default=0.7
        Share of training.

    val_split : float, default=0.15
        Share of validation.

    test_split : float, default=0.15
        Share of test. The three add up to 1.

    seed : int, default=42
        Draws the split, and who is repeated or dropped.

    save_split_indices : bool, default=True
        Whether the split is kept in a file, and read from there the next time.

    split_indices_path : str or Path, default="./data/split_indices.json"
        That file.

    group_by : {"none", "name", "groups"}, default="none"
        What is kept together in one part: nothing, persons as
        :func:`groups_from_filenames` reads them from file names, or groups that the source holds.

    Raises
    ------
    TypeError
        If a value is of the wrong type.

    ValueError
        If a share, the strategy, the seed or the grouping is none.

    Examples
    --------
    >>> config = DataConfig(dataset_path="faces", balancing_strategy="hybrid")
    >>> config.train_split, config.seed
    (0.7, 42)
    """

    dataset_path: str | PathLike
    balance_emotions: bool = True
    balancing_strategy: str | int | float = "oversample"
    use_stratified_split: bool = True
    train_split: float = 0.7
    val_split: float = 0.15
    test_split: float = 0.15
    seed: int = 42
    save_split_indices: bool = True
    split_indices_path: str | PathLike = "./data/split_indices.json"
    group_by: str = "none"

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is bool and not isinstance(value, bool):
                raise TypeError(f"{field.name} must be true or false, got {value!r}.")
            if field.name.endswith("_path") and (
                not isinstance(value, str | PathLike) or not value
            ):
                raise TypeError(
                    f"{field.name} must be the path of a file or folder, got {value!r}."
                )
        check_strategy(self.balancing_strategy, "balancing_strategy")
        if not isinstance(self.balancing_strategy, str | int | float):
            raise TypeError(
                "balancing_strategy must be a name such as 'oversample', or a number, got "
                f"{self.balancing_strategy!r}."
            )
        check_ratios(self.ratios)
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {self.seed!r}.")
        if self.group_by not in _GROUPINGS:
            raise ValueError(f"group_by must be one of {_GROUPINGS}, got {self.group_by!r}.")

    @property
    def ratios(self):
        """Shares of training, validation and test, by the names of the settings; a dict."""
        return {name: getattr(self, name) for name in ("train_split", "val_split", "test_split")}
