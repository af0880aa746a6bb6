"""The JSON Schema of descriptions, as editors use it: it takes every description that btc takes, those that
`btc import` writes of the conformance cases among them, and finds mistakes. Prints "schema: N passed, N failed".

    python3 tests/desc/schema.py CASES BTC
"""
import copy
import glob
import json
import os
import re
import subprocess
import sys

import jsonschema

CASES, BTC = sys.argv[1:]
counts = {True: 0, False: 0}


def check(ok, message):
    counts[bool(ok)] += 1
    if not ok:
        print("failed:", message)


def btc(*arguments):
    return subprocess.run([BTC, *arguments], capture_output=True, text=True, check=True).stdout


def descriptions():
    """name -> description: imported, of the examples, of the documents."""
    found = {}
    examples = glob.glob("examples/scripture/model.json") + glob.glob("examples/descriptions/*.json")
    described = {os.path.basename(path) for path in examples}
    for case in sorted(glob.glob(CASES + "/*/case.json")):
        folder = os.path.dirname(case)
        if os.path.basename(folder) + ".json" not in described:
            found[os.path.basename(folder)] = json.loads(btc("import", folder))
    for path in examples:
        with open(path, encoding="utf-8") as file:
            found[path] = json.load(file)
    with open("docs/description.md", encoding="utf-8") as file:
        found["docs/description.md"] = json.loads(re.search(r"```json\n(.*?)```", file.read(), re.S)[1])
    return found


def first_op(model, name):
    """A block's first statement that is an op of this name."""
    return next(s for b in model["blocks"].values() for s in b["ops"] if s.get("op") == name)


MISTAKES = {
    "a key that is not there": lambda m: m.update(outputs=1),
    "no model": lambda m: m.pop("model"),
    "another version": lambda m: m.update(btc=2),
    "a name that is none": lambda m: m.update(name="a-b"),
    "an op that is not there": lambda m: first_op(m, "norm.rms").update(op="norm.rsm"),
    "an attribute that is not there": lambda m: first_op(m, "norm.rms").update(esp=1),
    "an attribute of another type": lambda m: first_op(m, "norm.rms").update(eps="small"),
    "no operand": lambda m: first_op(m, "norm.rms").pop("x"),
    "no result": lambda m: first_op(m, "norm.rms").pop("out"),
    "two statements in one": lambda m: first_op(m, "norm.rms").update(map="x"),
    "layers of nothing": lambda m: next(s for s in m["model"] if "layers" in s).pop("pattern"),
}


def main():
    schema = json.loads(btc("schema"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema)
    models = descriptions()
    check(len(models) > 15, f"only {len(models)} descriptions")
    for name, model in models.items():
        errors = [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(model)]
        check(not errors, f"{name}: {errors[:3]}")
    for title, mistake in MISTAKES.items():
        wrong = copy.deepcopy(models["hf-mamba"])
        mistake(wrong)
        check(not validator.is_valid(wrong), f"{title} is not found")
    print(f"schema: {counts[True]} passed, {counts[False]} failed")
    return counts[False] != 0


sys.exit(main())
