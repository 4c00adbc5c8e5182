"""TMDL read strictly by its indentation, independently of what writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_OBJECT = re.compile(
    r"^(ref )?(database|model|table|column|measure|hierarchy|level|partition|relationship|role|"
    r"tablePermission|cultureInfo|translations|expression|annotation)(?: (.*))?$"
)
_PROPERTY = re.compile(r"^(\w+)(?:: (.*)| =(.*))?$")


@dataclass
class Node:
    """An object with its properties and children; `value` is what stands behind `=`."""

    kind: str
    name: str
    value: str = ""
    description: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def of(self, kind: str) -> list[Node]:
        return [child for child in self.children if child.kind == kind]


def read(path: Path) -> list[Node]:
    """The objects of a file; whatever fits no rule of the grammar is an error."""
    root = Node("file", path.name)
    stack: list[tuple[int, Node]] = [(-1, root)]
    description = ""
    lines = _logical(path.read_text(encoding="utf-8"))
    for depth, line in lines:
        if line.startswith("/// "):
            description = line[4:]
            continue
        while stack[-1][0] >= depth:
            stack.pop()
        parent_depth, parent = stack[-1]
        found = _OBJECT.match(line)
        if found and not (found.group(2) == "column" and line.startswith("column:")):
            assert depth == parent_depth + 1, f"{path}: {line!r} stands too deep"
            head, _, value = (found.group(3) or "").partition(" = ")
            node = Node(("ref " if found.group(1) else "") + found.group(2), head.strip("'"), value)
            node.description, description = description, ""
            parent.children.append(node)
            stack.append((depth, node))
            continue
        assert not description, f"{path}: a description before {line!r}"
        said = _PROPERTY.match(line)
        assert said, f"{path}: {line!r} is neither object nor property"
        if said.group(3) is not None and not said.group(3).strip():
            code = []
            for deeper, text in lines:
                if deeper <= depth:
                    lines.give_back(deeper, text)
                    break
                assert deeper >= depth + 2, f"{path}: code of {said.group(1)} must be deeper"
                code.append(text)
            assert code, f"{path}: {said.group(1)} has no expression"
            parent.properties[said.group(1)] = "\n".join(code)
            continue
        assert said.group(1) not in parent.properties, f"{path}: {line!r} twice"
        value = said.group(2) if said.group(2) is not None else said.group(3) or "true"
        parent.properties[said.group(1)] = value.strip()
        if said.group(2) is None and said.group(3) is None:
            # `dataAccessOptions` is an object without a name: its flags stand one deeper.
            stack.append((depth, parent))
    return root.children


class _Lines(Iterator[tuple[int, str]]):
    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self._lines = lines[::-1]

    def __next__(self) -> tuple[int, str]:
        if not self._lines:
            raise StopIteration
        return self._lines.pop()

    def give_back(self, depth: int, text: str) -> None:
        self._lines.append((depth, text))


def _logical(text: str) -> _Lines:
    lines = []
    for line in text.split("\n"):
        if line.strip():
            bare = line.lstrip("\t")
            lines.append((len(line) - len(bare), bare))
    return _Lines(lines)
