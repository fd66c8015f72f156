"""From the folder of a comparison to one page."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined

from imbemotion._files import write_whole
from imbemotion.report._content import collect
from imbemotion.report._folder import RunFolder

__all__ = ["write_report"]


def write_report(folder, path=None):
    """Write what a comparison found as one page that needs nothing else.

    The page begins with the answer in one sentence, and holds all tables and pictures,
    what was wrong with the data, what failed, and how to do everything again. It loads
    nothing from anywhere and runs no code, so that it can be mailed and printed. Of a
    comparison that was stopped half-way it shows what there is, and says what is missing.

    Parameters
    ----------
    folder : str or Path
        What ``compare_strategies(folder=...)`` or ``imbemotion compare --out`` wrote.

    path : str or Path, default=None
        The file to write. None means ``report.html`` in the folder. The file is replaced
        at once, never half.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    FileNotFoundError
        If the folder holds no comparison, or the page's own is missing.

    IsADirectoryError
        If the page is to take the place of a folder.

    See Also
    --------
    compare_strategies : Makes comparisons.
    ComparisonDisplay : Its pictures, one by one.

    Examples
    --------
    >>> from imbemotion import write_report
    >>> write_report("runs")  # doctest: +SKIP
    PosixPath('runs/report.html')
    """
    run = RunFolder(Path(folder))
    path = run.folder / "report.html" if path is None else Path(path)
    page = _environment().get_template("page.html").render(css=_read("page.css"), **collect(run))
    write_whole(path, page.encode("utf-8"))
    return path


def _environment():
    """Make the templates' environment: every text is escaped, no name may be missing."""
    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name):
    return files("imbemotion.report").joinpath(name).read_text(encoding="utf-8")
