#!/usr/bin/env python3
"""Writes the table of supported architectures in README.md from `btc list architectures`.

    scripts/write_supported.py BTC            writes it
    scripts/write_supported.py BTC --check    ends with 1 where README.md has another
"""
import re
import subprocess
import sys

BEGIN, END = "<!-- btc list architectures -->\n", "<!-- end -->\n"
HEAD = ("| architecture | names in `config.json`, or for `--arch` | recurrence or cache | "
        "largest error / tolerance |\n|---|---|---|---|\n")


def entries(text):
    """One dictionary per architecture."""
    for part in re.split(r"\n(?=  \S)", text)[1:]:
        lines = part.strip("\n").split("\n")
        entry = {"doc": lines[0].split(None, 1)[1], "accepts": "", "recurrence": "", "errors": []}
        key = "doc"
        for line in lines[1:]:
            line = line.strip()
            case = re.fullmatch(r"[\w.-]+ +([\d.e-]+) +([\d.e-]+) +([\d.e-]+|whole sequences)", line)
            found = re.match(r"(accepts|recurrence): (.*)", line)
            if case:
                entry["errors"] += [float(e) for e in case.groups() if e != "whole sequences"]
            elif found:
                key = found[1]
                entry[key] = found[2]
            elif line:
                entry[key] += " " + line
        yield entry


def table(btc):
    text = subprocess.run([btc, "list", "architectures"], check=True, capture_output=True, text=True).stdout
    rows = [f"| {e['doc']} | {' '.join('`%s`' % word for word in e['accepts'].split())} | {e['recurrence']} | "
            f"{'%.2g' % max(e['errors']) if e['errors'] else '?'} |\n" for e in entries(text)]
    return HEAD + "".join(rows)


def main():
    readme = open("README.md").read()
    begin, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    wanted = readme[:begin] + "\n" + table(sys.argv[1]) + "\n" + readme[end:]
    if "--check" in sys.argv[2:]:
        sys.exit(wanted != readme and "README.md: the table of architectures is out of date: scripts/write_supported.py btc")
    open("README.md", "w").write(wanted)


main()
