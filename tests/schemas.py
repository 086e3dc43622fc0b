"""Schemas for tests: closed, so that a member nobody defined is found, and checked in every part."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker


def closed(schemas: dict[str, Any]) -> dict[str, Any]:
    """The same schemas, in which no object has members that are not in its definition, unless that says which."""
    found = copy.deepcopy(schemas)
    for node in nodes(found):
        if "properties" in node and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
    return found


def nodes(content: Any) -> Iterator[dict[str, Any]]:
    """Every object in some JSON."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from nodes(each)


def resolved(document: Any, pointer: str) -> Any:
    """
    What a reference within a document leads to.

    Raises:
        KeyError: nowhere.
    """
    assert pointer.startswith("#/"), pointer
    for part in pointer[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


class Strict:
    """
    Holds values against the schemas of a document.

    Args:
        document: with ``components``; its schemas are closed here.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.schemas = closed(document["components"]["schemas"])
        self._validators: dict[str, Draft202012Validator] = {}

    def faults(self, name: str, value: Any) -> list[str]:
        """What in a value is not as the schema of this name has it."""
        validator = self._validators.get(name)
        if validator is None:
            schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": self.schemas}}
            validator = self._validators[name] = Draft202012Validator(schema, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]
