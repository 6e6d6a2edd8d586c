"""Okta's own API description, ready to judge the simulator's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SHARED = Path(__file__).parents[3] / "shared" / "data"
DESCRIPTION = SHARED / "openapi" / "derived-users-logs-eventhooks.subset.json"


def json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes a type or an alternative, `discriminator` goes."""
    if isinstance(node, list):
        return [json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = {key: json_schema(value) for key, value in node.items() if key not in {"discriminator", "nullable"}}
    if node.get("nullable") is not True:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


class Description:
    """Okta's description, ready to validate answers."""

    def __init__(self) -> None:
        self.document = json_schema(json.loads(DESCRIPTION.read_text("utf-8")))
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self.registry = Registry().with_resource("okta:", resource)

    def complaints(self, answer: httpx2.Response, path: str) -> list[str]:
        """What Okta's description has against this answer."""
        responses = self.document["paths"][path][answer.request.method.lower()]["responses"]
        described = responses.get(str(answer.status_code))
        if described is None:
            return [f"{answer.request.method} {path} has no answer {answer.status_code}"]
        described = self._resolved(described)
        if not described.get("content"):
            return [] if not answer.content else [f"{path}: no body is described"]
        schema = absolute(described["content"]["application/json"]["schema"])
        validator = jsonschema.Draft202012Validator(schema, registry=self.registry)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json())]

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        return self.registry.resolver("okta:").lookup(node["$ref"]).contents


def absolute(node: Any) -> Any:
    """The same schema with references that are understood outside of the document."""
    if isinstance(node, list):
        return [absolute(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {k: f"okta:{v}" if k == "$ref" and v.startswith("#") else absolute(v) for k, v in node.items()}
