#!/usr/bin/env bash
# Holds the JSON Schema against descriptions, right and wrong; see schema.py.
#     tests/desc/test_schema.sh CASES BTC
# Debian's own Python: python3-jsonschema is installed for that.
set -eu
exec /usr/bin/python3 "$(dirname "$0")/schema.py" "$1" "$2"
