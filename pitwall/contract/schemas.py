"""JSON schemas of definitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import json

from pitwall.contract.point import VENDOR_VALUE, Point, sent_point

#: Where both documents have their schemas.
PLACE: Final = "#/components/schemas/{name}"


def components(types: Iterable[Any]) -> dict[str, Any]:
    """
    The schemas of Structs and of all they consist of, by name.

    They keep to what draft 7 and draft 2020-12 have in common, and leave objects open:
    members may be added at any time.
    """
    _, found = json.schema_components(types, ref_template=PLACE)
    schemas = {name: _plain(schema) for name, schema in sorted(found.items())}
    if Point.__name__ in schemas:
        schemas[Point.__name__]["additionalProperties"] = VENDOR_VALUE
    return schemas


def sent_points(schemas: dict[str, Any]) -> None:
    """Add the schema of points as they may be sent."""
    schemas["SentPoint"] = sent_point()


def ref(type_: Any) -> dict[str, str]:
    """Where the schema of a Struct, or of a name, is."""
    return {"$ref": PLACE.format(name=type_ if isinstance(type_, str) else type_.__name__)}


def _plain(schema: Any) -> Any:
    """The same schema, with nothing beside a reference: before draft 2019-09 it would not count."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _plain(value) for name, value in schema.items()}
    if "$ref" in schema and len(schema) > 1:
        return {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    return schema
