"""Figures: medians and spreads of repetitions, kept as JSON, one entry for each row of the table. Every kind of CPU
has a file of its own in results/, so that figures of several CPUs stand side by side."""
import datetime
import json
import re
import statistics
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "results"


def file_of(machine):
    return FOLDER / (re.sub(r"[^a-z0-9]+", "-", machine["cpu"].lower()).strip("-") + ".json")


def series(values, digits=6):
    """What is stored of one figure."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values),
            "all": [float(f"{v:.{digits}g}") for v in values]}


class Results:
    """The file holds the figures of one kind of CPU. A row that is measured again takes the place of its old entry."""

    KEY = ("row", "shape", "weights", "math", "threads")

    def __init__(self, path, machine):
        self.path, self.rows = path or file_of(machine), []
        self.machine = dict(machine, date=datetime.date.today().isoformat())
        if self.path.exists():
            old = json.loads(self.path.read_text())
            if old["machine"]["cpu"] != machine["cpu"]:
                raise SystemExit(f"{self.path}: holds figures of {old['machine']['cpu']}, this is {machine['cpu']}")
            self.rows = old["rows"]

    def add(self, row, shape, values, weights=None, math=None, threads=None, **more):
        entry = dict(row=row, shape=shape, weights=weights, math=math, threads=threads, values=values, **more)
        key = [entry[k] for k in self.KEY]
        self.rows = [r for r in self.rows if [r[k] for k in self.KEY] != key] + [entry]
        self.save()
        return entry

    def save(self):
        part = self.path.with_suffix(".part")
        rows = ",\n".join(json.dumps(r, separators=(",", ":")) for r in self.rows)
        part.write_text('{"machine": %s, "rows": [\n%s]}\n' % (json.dumps(self.machine), rows))
        part.rename(self.path)
