"""Checks documents against the official schemas of their formats: validate.py (FORMAT SCHEMA DOCUMENT)...

Prints a line for each document: its path and `valid`, or what is wrong. SCHEMA is a file, or `-` where a package brings it.
"""

import json
import sys

import jsonschema
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def cyclonedx(_schema, path):
    with open(path, encoding="utf-8") as document:
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.read())
    return [] if error is None else [str(error)[:2000]]


def by_schema(schema, path):
    with open(schema, encoding="utf-8") as opened:
        schema = json.load(opened)
    with open(path, encoding="utf-8") as opened:
        document = json.load(opened)
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message[:500]}" for error in validator.iter_errors(document)]


def spdx_rules(_schema, path):
    """What the schema cannot say: ids that exist, expressions that parse, texts that are there."""
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    messages = validate_full_spdx_document(parse_file(path))
    return [message.validation_message for message in messages]


CHECKS = {"cyclonedx": cyclonedx, "spdx": by_schema, "sarif": by_schema, "spdx-rules": spdx_rules}

for at in range(1, len(sys.argv), 3):
    check, schema, document = sys.argv[at : at + 3]
    problems = CHECKS[check](schema, document)
    print(document, "valid" if not problems else "; ".join(problems[:20]).replace("\n", " "))
