#!/bin/sh
# tests/laws/test_identity.c on every conformance case, with every number of a tuning file at three places.
#     thorough_identity.sh CASES BTC
exec "$(dirname "$2")/tests/test_identity" "$1" "$2" all
