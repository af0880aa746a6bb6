#!/usr/bin/env python3
"""Checks what the compiler cannot: who includes whom, that every file has its row in a table and every row its
file, that ops are documented, that files stay small, and that documents name files that exist.

    python3 tests/structure/check.py [PATH-OF-BTC]

Without btc, what needs it or the objects that it is made of is skipped. Prints "structure: N passed, N failed".
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = ("base", "formats", "ir", "plan", "kernels", "targets", "compiler", "runtime")
MAX_LINES = 600

# Who may include what, besides itself; the longest prefix of a file's path decides. ARCHITECTURE.md explains.
CALL = "runtime/btc_call.h"
ARROWS = {
    "base": ("runtime/processors.h", "runtime/distance.h"),
    "formats": ("base",),
    "ir": ("base", "formats"),
    "plan": ("base", "formats", "ir"),
    "kernels": ("base", "ir", "formats", "plan", CALL),
    "targets": ("base", "ir", CALL, "runtime/distance.h"),
    "compiler/weights": ("base", "formats/format.h", "compiler/desc/json.h"),
    "compiler/link": ("base", "runtime", "targets/target.h"),
    "compiler": ("base", "ir", "formats", "plan", "kernels", "targets/target.h", "runtime/btc.h", CALL, "runtime/artifact.h", "runtime/processors.h", "runtime/distance.h"),
    "runtime": (),
    "examples": ("runtime/btc.h",),
}
# Where a header of somebody else may be included.
DOORS = {r"llvm(-c)?/": "targets/", r"cjson/": "compiler/", r"omp\.h": "runtime/parallel_omp.c",
         r"pthread\.h": ("base/work.c", "base/temp.c", "base/progress.c", "compiler/bench/",
                        "runtime/threads.c", "runtime/parallel_omp.c")}
GENERATED = ("scripture.h",)  # by btc, for the examples
INCLUDE_PATHS = ("ir", "runtime", "targets", "compiler", "")  # as in CMakeLists.txt

# table, what a row is called, where its definition is, what that looks like
TABLES = (
    ("ir/ops.def", "OP|NO_LOOPS", "ir/ops", "OpDef op_"),
    ("ir/ops.def", "OP", "kernels/ops", "OpLowering lowering_"),
    ("ir/loop_ops.def", "LOOP_OP", "ir/ops", "OpDef op_loop_"),
    ("compiler/pipeline.def", "PASS", "compiler/passes", "Pass pass_"),
    ("compiler/import/importers.def", "IMPORTER", "compiler/import", "Importer importer_"),
    ("compiler/commands/commands.def", "COMMAND", "compiler/commands", "int command_"),
    ("targets/targets.def", "TARGET", "targets", "Target target_"),
    ("formats/formats.def", "FORMAT", "formats", "NumberFormat format_"),
)
READMES = ("", "docs", "scripts", "base", "ir", "ir/ops", "formats", "plan", "kernels", "compiler", "compiler/commands",
           "compiler/desc", "compiler/import", "compiler/weights", "compiler/link", "compiler/bench", "compiler/pack", "compiler/run", "compiler/report", "compiler/modes", "compiler/tune", "compiler/passes", "compiler/quantize",
           "targets", "runtime", "tests", "examples")

passed = failed = 0


def check(ok, message):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print("failed:", message)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def files(*suffixes):
    """All files of the project that end so, without what is built or fetched."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = sorted(d for d in inner if not re.match(r"build|out$|venv$|__pycache__|\.git$", d))
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def exists(path):
    return os.path.exists(os.path.join(ROOT, path))


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


# --- who includes whom -------------------------------------------------------

def resolve(user, name):
    for folder in (os.path.dirname(user), *INCLUDE_PATHS):
        path = os.path.normpath(os.path.join(folder, name))
        if exists(path):
            return path
    return None


def within(path, place):
    return path == place or path.startswith(place + "/")


def check_includes():
    for user in files(".c", ".h", ".def"):
        if not user.startswith(CODE + ("examples/",)):
            continue
        home = max((a for a in ARROWS if within(user, a)), key=len)
        allowed = (home,) + ARROWS[home]
        text = read(user)
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
            if user.startswith("examples/") and name in GENERATED:
                continue
            path = resolve(user, name)
            check(path and any(within(path, a) for a in allowed),
                  f'{user} includes "{name}": {home}/ may include only {", ".join(allowed)}')
        for name in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M):
            for pattern, door in DOORS.items():
                if re.match(pattern, name):
                    check(user.startswith(door), f"{user} includes <{name}>, which only {door} may")
        if re.search(r"^\s*#\s*pragma\s+omp\b", text, re.M):
            check(user == "runtime/parallel_omp.c", f"{user}: OpenMP belongs in runtime/parallel_omp.c")


def cycles(graph):
    """Groups of nodes that reach each other (Tarjan 1972)."""
    number, low, stack, found = {}, {}, [], []

    def visit(v):
        number[v] = low[v] = len(number)
        stack.append(v)
        for w in graph[v]:
            if w not in number:
                visit(w)
            if w in stack:
                low[v] = min(low[v], low[w])
        if low[v] == number[v]:
            group = stack[stack.index(v):]
            del stack[stack.index(v):]
            if len(group) > 1:
                found.append(sorted(group))

    for v in graph:
        if v not in number:
            visit(v)
    return found


def check_circles(build):
    """No two files of the house need each other's symbols, also not by way of others; and rooms obey ARROWS."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    sources, owner = {}, {}
    for c in commands:
        source = os.path.relpath(c["file"], ROOT)
        if not source.startswith(("base/", "formats/", "ir/", "plan/", "kernels/", "targets/", "compiler/")):
            continue
        built = os.path.join(build, re.search(r" -o (\S+)", c["command"]).group(1))
        if os.path.exists(built):
            sources[built] = source
    needs = {source: set() for source in sources.values()}
    answer = subprocess.run(["nm", "-A", *sources], check=True, capture_output=True, text=True)
    for line in answer.stdout.splitlines():
        built, symbol = line.split(":", 1)
        *_, kind, symbol = symbol.split()
        if kind == "U":
            needs[sources[built]].add(symbol)
        elif kind.isupper():
            owner[symbol] = sources[built]
    graph = {s: sorted({owner[n] for n in symbols if n in owner} - {s}) for s, symbols in needs.items()}
    check(len(graph) > 100, f"{build} holds only {len(graph)} objects of the house")
    for group in cycles(graph):
        check(False, "these files need each other: " + ", ".join(group))
    for user, used in graph.items():
        home = max((a for a in ARROWS if within(user, a)), key=len)
        for path in used:
            check(any(within(path, a.replace(".h", ".c")) or a == "targets/target.h" and within(path, "targets")
                      for a in (home,) + ARROWS[home]), f"{user} needs {path}")


# --- tables ------------------------------------------------------------------

def rows(table, word):
    return re.findall(rf"^\s*(?:{word})\((\w+)[,)]", without_comments(read(table)), re.M)


def definitions(folder, what):
    """name -> file, of every `const <what><name> = {`, also of those that macros write."""
    found = {}
    function = what.startswith("int ")
    pattern = re.compile((r"^" if function else r"\bconst\s+") + what.replace(" ", r"\s+") +
                         (r"(\w+)\(int argc, char \*\*argv\) \{" if function else r"(\w+)\s*="), re.M)
    for path in files(".c"):
        if os.path.dirname(path) != folder:
            continue
        text = read(path)
        if what.split()[-1] not in text:
            continue
        if folder.endswith("/ops"):  # macros
            flags = [f"-I{os.path.join(ROOT, p)}" for p in ("ir", "runtime", "")]
            text = subprocess.run(["gcc", "-E", "-P", *flags, os.path.join(ROOT, path)], check=True,
                                  capture_output=True, text=True).stdout
        for name in pattern.findall(text):
            check(name not in found, f"{path}: {what}{name} is defined twice")
            found[name] = path
    return found


def check_tables():
    for table, word, folder, what in TABLES:
        listed, defined = rows(table, word), definitions(folder, what)
        check(len(listed) == len(set(listed)), f"{table}: a row stands twice")
        for name in listed:
            check(name in defined, f"{table}: a row for {name}, but no file in {folder}/ defines {what}{name}")
        for name, path in defined.items():
            if word.startswith("OP") and name.startswith("loop_"):
                continue
            check(name in listed, f"{path}: {what}{name} has no row in {table}")
            if word in ("PASS", "IMPORTER", "COMMAND", "FORMAT"):
                check(os.path.basename(path) == name + ".c", f"{path}: should be called {name}.c")


# --- ops say what they are; the schema is current ----------------------------

def run(btc, *arguments):
    return subprocess.run([btc, *arguments], capture_output=True, text=True, timeout=60, check=False)


def check_ops(btc):
    for name in rows("ir/ops.def", "OP|NO_LOOPS"):
        answer = run(btc, "explain", name)
        if answer.returncode != 0:
            answer = run(btc, "explain", name.replace("_", ".", 1))
        check(answer.returncode == 0, f"btc explain {name}: {answer.stderr.strip()}")
        lines = answer.stdout.splitlines()
        check(len(lines) > 1 and len(lines[1].strip()) > 3, f"op {name} has no doc")
        for field in ("formula", "source"):
            check(re.search(rf"^  {field} +\S", answer.stdout, re.M), f"op {name} has no {field}")


def check_schema(btc):
    answer = run(btc, "schema")
    check(answer.returncode == 0, "btc schema: " + answer.stderr.strip())
    path = "docs/btc-model.schema.json"
    check(exists(path) and read(path) == answer.stdout, f"{path} is old: btc schema -o {path}")
    try:
        json.loads(answer.stdout)
        check(True, "")
    except ValueError as e:
        check(False, f"btc schema: {e}")


def check_supported(btc):
    """README's table of architectures is that of `btc list architectures`, and each case of it was measured."""
    answer = run(sys.executable, "scripts/write_supported.py", btc, "--check")
    check(answer.returncode == 0, answer.stderr.strip())
    measured = set(re.findall(r'REACHED\("([^"]+)"', read("compiler/import/reached.def")))
    cases = {name for name in os.listdir("tests/conformance") if exists(f"tests/conformance/{name}/case.json")}
    check(cases == measured, "compiler/import/reached.def lacks " + " ".join(sorted(cases - measured))
          + ": BTC_RECORD=compiler/import/reached.def build/tests/test_conformance tests/conformance")


# --- arrays -------------------------------------------------------------------

def check_arrays():
    """Names of a table's rows go into an array that is as long as the table, whatever that comes to."""
    names = re.compile(r"\bconst char \*+(?:const )?(?:\w+(?: = [^,;]*)?, \*)*\w+\[(\d+)\]\s*[;,]")
    for path in files(".c", ".h"):
        if path.startswith(CODE):
            for found in names.finditer(without_comments(read(path))):
                check(int(found.group(1)) <= 4, f"{path}: {found.group(0)} holds so many names, and a table may grow")


# --- texts -------------------------------------------------------------------

def check_texts():
    left_over = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    machine = re.compile(r"(?<![\w.])/(work|home|root|Users)/\w")
    for path in files(".c", ".h", ".S", ".def", ".py", ".sh", ".md", ".txt", ".json", ".btir"):
        if path.startswith(("tests/fuzz/corpus", "examples/scripture/heldout")):
            continue
        lines = read(path).split("\n")
        if not path.endswith(".json"):
            check(len(lines) - 1 <= MAX_LINES, f"{path}: {len(lines) - 1} lines, more than {MAX_LINES}")
        for i, line in enumerate(lines, 1):
            for found in (left_over.search(line), machine.search(line)):
                if found:
                    check(False, f"{path}:{i}: {found.group(0)}")
    for folder in READMES:
        path = os.path.join(folder, "README.md")
        check(exists(path), f"{path} is missing")
    check(exists("ARCHITECTURE.md"), "ARCHITECTURE.md is missing")


def check_documents():
    """Files that documents name in backquotes are there: `ir/op.h`, and in a folder's README also `op.h`.
    Placeholders have a word of capitals (`ir/ops/NAME.c`)."""
    name = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:c|h|S|def|md|sh|py))`")
    for document in files(".md"):
        home = os.path.dirname(document)
        for path in sorted(set(name.findall(read(document)))):
            places = {path, os.path.join(home, path)}
            if re.search(r"(NAME|FOLDER)", path):
                continue
            check(any(exists(p) for p in places), f"{document}: there is no {path}")


def main():
    check_includes()
    check_tables()
    check_arrays()
    check_texts()
    check_documents()
    btc = sys.argv[1] if len(sys.argv) > 1 else None
    if btc and os.access(btc, os.X_OK):
        check_ops(btc)
        check_schema(btc)
        check_supported(btc)
        check_circles(os.path.dirname(os.path.abspath(btc)))
    else:
        print("skipped: documentation of ops, the schema and circles, since there is no btc")
    print(f"structure: {passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
