"""Tables of classes as plain text, for any terminal, file and spreadsheet."""

import re

from pandas.api.types import is_numeric_dtype

from imbemotion._base.validation import cut_label, shorten, text_width

# What spreadsheets run, but for numbers: the quote that makes a text of it is the usual remedy.
_FORMULA = re.compile(r"(?![-+]?[0-9]+(\.[0-9]*)?\Z)'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def cell(value):
    """Return a value for a CSV file; a quote before a text keeps spreadsheets from running it."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def from_cell(value):
    """Return the value that `cell` wrote."""
    is_quoted = isinstance(value, str) and value[:1] == "'" and _FORMULA.match(value[1:])
    return value[1:] if is_quoted else value


def to_csv(table, **settings):
    """Write a table as the bytes of a CSV file that no spreadsheet runs."""
    table = table.rename(columns=cell, index=cell)
    table = table.apply(lambda column: column if is_numeric_dtype(column) else column.map(cell))
    return table.to_csv(lineterminator="\n", **settings).encode()


def in_one_line(text):
    """Write line breaks and codes for terminals as escapes."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], str(text))


def signed(number):
    """Write a difference: ``+75``, ``-75`` or ``0``."""
    return f"{number:+,}" if number else "0"


def draw_bar(count, largest, length=30, mark="#"):
    """Draw a bar of up to `length` characters, at least one for a count above 0."""
    return mark * max(round(length * count / largest), count > 0)


def name_counts(counts, labels):
    """Write ``"contempt 9, fear 21"``: classes and their counts, the rarest first."""
    labels = sorted(labels, key=counts.get)
    return shorten([f"{cut_label(label)} {counts[label]:,}" for label in labels])


def write_table(head, rows):
    """Align columns under their heads, the first and the last left, the others right."""
    lines = [[cut_label(first), *rest] for first, *rest in [head, *rows]]
    widths = [max(map(text_width, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for line in lines:
        spaces = [" " * (n - text_width(cell)) for n, cell in zip(widths, line, strict=True)]
        cells = [space + cell for space, cell in zip(spaces, line, strict=True)]
        aligned.append("  ".join([line[0] + spaces[0], *cells[1:-1], line[-1]]).rstrip())
    return "\n".join(aligned)
