# SPDX-License-Identifier: MIT
"""As much of JSON Schema as docs/control.schema.json is written in."""

import json
import os
import re

from .tap import Failure

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/control.schema.json")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "$defs", "$ref", "title", "type", "required", "additionalProperties", "properties", "items", "enum", "pattern",
         "minimum", "anyOf"}


class Schema:
    def __init__(self):
        with open(PATH, encoding="utf-8") as f:
            self.whole = json.load(f)

    def check(self, value, name=None):
        """A value is as the schema has it, or the definition of that name there."""
        wrong = self._wrong(value, self.whole["$defs"][name] if name else self.whole, "")
        if wrong:
            raise Failure(f"not as {os.path.basename(PATH)} has it: {wrong}")

    def _wrong(self, value, schema, where):
        if unknown := schema.keys() - KNOWN:
            raise Failure(f"the schema has what this does not know: {unknown}")
        if "$ref" in schema:
            return self._wrong(value, self.whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], where)
        if "anyOf" in schema and all(self._wrong(value, one, where) for one in schema["anyOf"]):
            return f"{where} is {value!r}"
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(isinstance(value, TYPES[t]) and (t == "boolean") == isinstance(value, bool) for t in types):
            return f"{where} is {value!r}, no {types}"
        if "enum" in schema and value not in schema["enum"]:
            return f"{where} is {value!r}, none of {schema['enum']}"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"{where} is {value!r}"
        if "minimum" in schema and value < schema["minimum"]:
            return f"{where} is {value!r}"
        if isinstance(value, list) and "items" in schema:
            return next((w for i, one in enumerate(value) if (w := self._wrong(one, schema["items"], f"{where}[{i}]"))), None)
        if not isinstance(value, dict):
            return None
        properties = schema.get("properties", {})
        if missing := set(schema.get("required", ())) - value.keys():
            return f"{where} lacks {missing}"
        if not schema.get("additionalProperties", True) and (more := value.keys() - properties.keys()):
            return f"{where} has {more}"
        return next((w for key, one in value.items() if key in properties
                     if (w := self._wrong(one, properties[key], f"{where}.{key}"))), None)
