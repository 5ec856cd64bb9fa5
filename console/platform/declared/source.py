"""YAML text → plain data, with the line of each path, so that a fault can point at it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from console.platform.declared.values import Fault

Path = tuple[str | int, ...]
Findings = Iterator[tuple[Path, str, str]]  # (path, what is wrong, what to do)

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def dotted(path: Path) -> str:
    """`fleets[1].baseline`; `platform.yaml` for the whole file."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "platform.yaml"


class Document:
    """The parsed file: `data` with references unresolved, `faults` of its syntax, the line of each path."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.faults: list[Fault] = []
        self._lines: dict[Path, int] = {}
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            self.data = self._value(loader, node, (), ()) if node else None
        except yaml.MarkedYAMLError as error:
            self.faults.append(_syntax(error))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self.faults.append(Fault("platform.yaml", f"is not YAML: {type(error).__name__}", "Check the file."))

    def where(self, path: Path) -> str:
        """The path, and the line on which it (or what it is missing from) begins."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        line = self._lines.get(known)
        return f"{dotted(path)}, line {line}" if line else dotted(path)

    def fault(self, path: Path, message: str, hint: str) -> Fault:
        return Fault(self.where(path), message, hint)

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, path: Path, inside: tuple[int, ...]) -> Any:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in inside:
            raise RecursionError
        inside = (*inside, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, item, (*path, i), inside) for i, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return loader.construct_object(node)
        own = {id(key) for key, _ in node.value}  # not those that `<<` brings, which may be overwritten
        loader.flatten_mapping(node)
        values: dict[Any, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node))
            if id(key_node) in own:
                if key in written:
                    again = key_node.start_mark.line + 1
                    fault = self.fault((*path, key), f"is there twice, again on line {again}", "Remove one of the two.")
                    self.faults.append(fault)
                written.add(key)
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self._value(loader, value_node, (*path, key), inside)
        return values


def _syntax(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = f"platform.yaml, line {mark.line + 1}, column {mark.column + 1}" if mark else "platform.yaml"
    hint = "Check the indentation and the brackets there."
    if mark and "${" in (mark.buffer or "").split("\n")[mark.line if mark.buffer else 0][:200]:
        hint = 'Inside { } or [ ] a reference needs quotes: url: "${NAME}".'
    return Fault(place, f"is not YAML: {error.problem or error.context}", hint)


def value_at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in `data`, with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))


def resolved(data: Any, environ: Mapping[str, str]) -> Any:
    """`data` with each `${NAME}` replaced; one that is not set stays as it is written."""
    if isinstance(data, str):
        return REFERENCE.sub(lambda match: environ.get(match[1]) or match[0], data)
    if isinstance(data, dict):
        return {key: resolved(value, environ) for key, value in data.items()}
    if isinstance(data, list):
        return [resolved(value, environ) for value in data]
    return data
