#!/usr/bin/env python3
"""Writes the figures of tests/bench/results/*.json: a summary into docs/performance.md, between its markers, and all of
them into a page beside each file."""
import json
from types import SimpleNamespace

import results
import table
from tools import ROOT

BEGIN, END = "<!-- figures: written by tests/bench/write_docs.py -->", "<!-- end of figures -->"


def main():
    page = ROOT / "docs" / "performance.md"
    stores = []
    for source in sorted(results.FOLDER.glob("*.json")):
        store = SimpleNamespace(**json.loads(source.read_text()))
        stores.append(store)
        source.with_suffix(".md").write_text("# Figures\n\nWritten by `tests/bench/write_docs.py` from the JSON beside it. A figure "
            "is the median [least-most] of several\nrepetitions; behind it stands what is asked for, and ✗ where that is not "
            f"reached.\n\n{table.markdown(store)}\n")
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    page.write_text(before + BEGIN + "\n" + "\n\n".join(map(table.summary, stores)) + "\n" + END + after)


if __name__ == "__main__":
    main()
