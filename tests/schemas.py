"""Schemas for tests: closed, so that a member nobody defined is found, and checked in every part."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator


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


def untold(schemas: dict[str, Any]) -> Iterator[str]:
    """The members that nothing is said of, by a description, a definition, a unit, or the one value there is."""

    def told(schema: Any) -> bool:
        if not isinstance(schema, dict):
            return False
        inner = [*schema.get("anyOf", ()), *schema.get("allOf", ()), schema.get("items")]
        inner.append(schema.get("additionalProperties"))
        return any(name in schema for name in ("description", "$ref", "x-unit", "const")) or any(map(told, inner))

    for name, schema in schemas.items():
        for member, its in schema.get("properties", {}).items():
            # The figures of insights are those of the formulas, which docs/insights.md tells of.
            if member != "type" and name not in ("InsightData", "SentPoint") and not told(its):
                yield f"{name}.{member}"


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
            validator = self._validators[name] = Draft202012Validator(schema, validate_formats=True)
        return [f"{error.instance_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def seen(schemas: dict[str, Any], name: str, value: Any, found: dict[str, set[str]]) -> None:
    """
    Note which members of which definitions a value has.

    Args:
        schemas: by name.
        name: of the value's own.
        value: it fits its schema.
        found: the members of each definition, added to here.
    """

    def look(schema: dict[str, Any], value: Any) -> None:
        reference = schema.get("$ref")
        if reference is not None:
            look_named(reference.rpartition("/")[2], value)
        for each in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
            if isinstance(value, list if each.get("type") == "array" else dict):
                look(each, value)
        if isinstance(value, list) and "items" in schema:
            for item in value:
                look(schema["items"], item)
        if isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            for item in value.values():
                look(schema["additionalProperties"], item)

    def look_named(name: str, value: Any) -> None:
        schema = schemas[name]
        properties = schema.get("properties", {})
        if isinstance(value, dict):
            found.setdefault(name, set()).update(value.keys() & properties.keys())
            for member, item in value.items():
                if member in properties:
                    look(properties[member], item)
        look({key: told for key, told in schema.items() if key != "properties"}, value)

    look_named(name, value)
