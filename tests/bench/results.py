"""Figures: medians and spreads of repetitions, kept as JSON, one entry for each row of the table."""
import json
import statistics


def series(values, digits=6):
    """What is stored of one figure."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values),
            "all": [float(f"{v:.{digits}g}") for v in values]}


class Results:
    """The file holds one machine's figures. A row that is measured again takes the place of its old entry."""

    KEY = ("row", "shape", "weights", "math", "threads")

    def __init__(self, path, machine):
        self.path, self.machine, self.rows = path, machine, []
        if path.exists():
            old = json.loads(path.read_text())
            if old["machine"]["cpu"] == machine["cpu"]:
                self.rows = old["rows"]

    def add(self, row, shape, values, weights=None, math=None, threads=None, **more):
        entry = dict(row=row, shape=shape, weights=weights, math=math, threads=threads, values=values, **more)
        key = [entry[k] for k in self.KEY]
        self.rows = [r for r in self.rows if [r[k] for k in self.KEY] != key] + [entry]
        self.save()
        return entry

    def save(self):
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"machine": self.machine, "rows": self.rows}, indent=1) + "\n")
        part.rename(self.path)
