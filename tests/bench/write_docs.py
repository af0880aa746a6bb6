#!/usr/bin/env python3
"""Puts the figures into docs/performance.md, between its markers: write_docs.py [RESULTS.json]"""
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import table
from tools import OUT, ROOT

BEGIN, END = "<!-- figures: written by tests/bench/write_docs.py -->", "<!-- end of figures -->"


def main():
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT / "results.json"
    page = ROOT / "docs" / "performance.md"
    store = SimpleNamespace(**json.loads(source.read_text()))
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{table.markdown(store)}\n{END}{after}")


if __name__ == "__main__":
    main()
