"""Tables of classes as plain text, for any terminal, and errors of memory as sentences."""

import re

from imbemotion._base.validation import cut_label, shorten, text_width

# words of PyTorch, for CUDA, CPUs and Windows
_TOO_LARGE = re.compile(
    "out of memory|allocate memory|enough memory|alloc_failed|bad_alloc", re.IGNORECASE
)


def explain_memory(error, size="batch_size"):
    """Return a sentence that names the setting to lower if memory ran out, else None."""
    if not (isinstance(error, MemoryError) or _TOO_LARGE.search(str(error))):
        return None
    if str(error).startswith("Out of memory"):  # explained already
        return str(error)
    reason = str(error).partition("\n")[0].rstrip(".")
    reason = reason.rpartition("DefaultCPUAllocator: ")[2][:200]  # after a line of C++
    reason = f": {reason}" if reason else ""
    return f"Out of memory{reason}. Use a lower {size}, or fewer or smaller images."


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
