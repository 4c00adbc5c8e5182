"""TMDL text: objects by indentation, texts as Power BI Desktop writes them.

Grammar: learn.microsoft.com/analysis-services/tmdl/tmdl-overview and tmdl-reference-tabular-object.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

_PLAIN = re.compile(r"^\w+$")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "callfunnel/powerbi")


class Tmdl:
    """A document under construction; depths are counted in tabs."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, depth: int, *lines: str) -> None:
        """Lines at a depth."""
        self._lines += ["\t" * depth + line for line in lines]

    def describe(self, depth: int, text: str) -> None:
        """The description of the object that follows."""
        if text:
            self.add(depth, f"/// {one_line(text)}")

    def code(self, depth: int, lines: Iterable[str]) -> None:
        """An expression of several lines, deeper than the properties beside it."""
        self.add(depth, *lines)

    def gap(self) -> None:
        """An empty line, never two."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def __str__(self) -> str:
        return "\n".join(self._lines).rstrip("\n") + "\n"


def identifier(name: str) -> str:
    """A name, quoted where TMDL wants it."""
    return name if _PLAIN.match(name) else "'" + name.replace("'", "''") + "'"


def tag(*path: str) -> str:
    """The same GUID for the same thing in every generation, so that projects can be compared."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(path)))


def one_line(text: str) -> str:
    """Texts of one property stand on one line."""
    return " ".join(text.split())
