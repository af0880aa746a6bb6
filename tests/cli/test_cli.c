/* The btc program as people call it: exit status, messages, files. Every command, right and wrong.
 *     test_cli [BTC [CONFORMANCE]]      defaults: build/btc and tests/conformance */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>

#include "kit.h"

/* ---- the command line itself ---- */

static void check_help(void) {
    Run r = run("%s", "");
    CHECK(r.status == 2);
    CHECK_STR_CONTAINS(r.err, "btc MODEL -o OUTPUT");
    CHECK_PRINTS(run("--help"), "Commands");
    CHECK_PRINTS(run("-h"), "btc MODEL -o OUTPUT");
    CHECK_PRINTS(run("help"), "Examples");
    CHECK_PRINTS(run("--version"), "btc ");
    const char *all = run("--help").out, *names = run("list commands").out;
    for (const char *p = names; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : p) {
        char name[64];
        if (!CHECK(sscanf(p, " %63s", name) == 1)) return;
        CHECK_STR_CONTAINS(all, arena_printf(arena, "\n  %s ", name));
        CHECK_PRINTS(run("%s --help", name), "Options");
    }
}

static void check_options(void) {
    CHECK_FAILS(run("m.json --chnk=3"), 2, "unknown option --chnk=3 (did you mean --chunk?)");
    CHECK_FAILS(run("m.json --zzzzzzzzz"), 2, "unknown option --zzzzzzzzz");
    CHECK_FAILS(run("m.json -x"), 2, "unknown option -x");
    CHECK_FAILS(run("m.json --chunk"), 2, "--chunk needs a value");
    CHECK_FAILS(run("m.json --quiet=yes"), 2, "--quiet=yes takes no value");
    CHECK_FAILS(run("m.json --chunk=0"), 2, "--chunk");
    CHECK_FAILS(run("m.json --chunk=12x"), 2, "12x");
    CHECK_FAILS(run("m.json --batch=99999999999999999999"), 2, "--batch");
    CHECK_FAILS(run("m.json other.json"), 2, "unexpected argument \"other.json\"");
    CHECK_FAILS(run("reprot m.json"), 2, "did you mean btc report?");
    CHECK_FAILS(run("frob"), 2, "no command, file or folder \"frob\"");
    CHECK_FAILS(run("frob m.json"), 2, "no command, file or folder \"frob\"");
    CHECK_FAILS(run("m.json -o a.so --squeeze=on"), 2, "--compress=on"); /* as an older version called it */
    CHECK_FAILS(run("m.json -o a.so -o b.so"), 2, "option -o is given twice");
    CHECK_FAILS(run("m.json --quiet --chunk=3 --chunk 4"), 2, "option --chunk is given twice");
    CHECK_FAILS(run("verify m.json --threads=1 --threads=1"), 2, "option --threads is given twice");
    CHECK_FAILS(run("report m.json --json --json"), 2, "option --json is given twice");
    CHECK_FAILS(run("list --al ops"), 2, "unknown option --al");
    CHECK_FAILS(run("schema ops"), 2, "unexpected argument \"ops\"");
}

static void check_compile_errors(void) {
    const char *m = model("hf-mamba"), *so = at("x.so");
    CHECK_FAILS(run("compile"), 2, "which model?");
    CHECK_FAILS(run("'%s'", m), 2, "add -o OUTPUT");
    CHECK_FAILS(run("'%s' -o '%s'", at("none.json"), so), 1, "no such file or folder");
    CHECK_FAILS(run("'%s' -o '%s'", at("none.onnx"), so), 1, "ONNX graphs are not read");
    CHECK_FAILS(run("'%s' -o '%s' --cpu=zen9000", m, so), 2, "has no model \"zen9000\"");
    CHECK_FAILS(run("'%s' -o '%s' --cpu=znver44", m, so), 2, "znver44");
    CHECK_FAILS(run("'%s' -o '%s' --gpu=sm_80", m, so), 2,
                "--gpu=sm_80: is for --target=nvptx64; a model of ");
    CHECK_FAILS(run("verify '%s' --gpu=sm_80", m), 2, "--gpu=sm_80: is for --target=nvptx64");
    CHECK_FAILS(run("'%s' --emit=asm --target=nvptx64 --cpu=sm_80 --gpu=sm_80", m), 2,
                "--cpu and --gpu: one");
    CHECK_FAILS(run("'%s' -o '%s' --target=riscv", m, so), 2, "unknown target \"riscv\"");
    CHECK_FAILS(run("'%s' --emit=lopps", m), 2, "did you mean \"loops\"?");
    CHECK_FAILS(run("'%s' -o '%s' --weights=here", m, so), 2, "must be embed or file");
    CHECK_FAILS(run("'%s' -o '%s' --threads=2", m, so), 2, "must be openmp or none");
    CHECK_FAILS(run("'%s' -o '%s' --dtype=int4", m, so), 2, "must be f32, bf16 or f16");
    CHECK_FAILS(run("'%s' -o '%s' --state=int8", m, so), 2, "--state=int8: must be f32, bf16 or f16");
    CHECK_FAILS(run("'%s' -o '%s' --state=fp16", m, so), 2, "did you mean \"f16\"?");
    CHECK_FAILS(run("'%s' --emit=ir --stop-after=prun", m), 2, "did you mean \"prune\"?");
    CHECK_FAILS(run("'%s' -o '%s' --stop-after=prune", m, so), 2, "add --emit=ir");
    CHECK_FAILS(run("'%s' --emit=asm --stop-after=prune", m), 2, "add --emit=ir");
    CHECK_PRINTS(run("'%s' --emit=ir --stop-after=prune", m), "func @main(%tokens : i32[T])");
    CHECK_FAILS(run("'%s' -o '%s'", m, at("x.foo")), 2, "cannot tell from this name");
    CHECK(access(so, F_OK) != 0);
}

/* What uses no weights needs none; and what does says what to add. */
static void check_no_weights(void) {
    static const char head[] = "{\"btc\":1,\"name\":\"m\",\"dims\":{\"D\":4},\"input\":{\"features\":\"D\"},"
                               "\"output\":\"y\",\"model\":[{\"out\":\"y\",";
    const char *path = at("bare.json"), *program = at("bare");
    write_file(path, arena_printf(arena, "%s\"map\":\"2*input\"}]}", head));
    CHECK(run("'%s' -o '%s' --quiet", path, program).status == 0);
    CHECK(system(arena_printf(arena, "head -c 32 /dev/zero | '%s' >'%s'", program, at(".out"))) == 0);
    unlink(program);
    write_file(path, arena_printf(arena, "%s\"op\":\"linear\",\"x\":\"input\",\"w\":\"@p[D,D]\"}]}", head));
    CHECK_FAILS(
        run("'%s' -o '%s'", path, program), 1,
        "model[0].w, column 2: the description names no \"weights\", where \"p\" would be: add \"weights\"");
    write_file(path, arena_printf(arena, "%s\"map\":\"input * @p\"}]}", head));
    CHECK_FAILS(run("'%s' -o '%s'", path, program), 1, "names no \"weights\" that could hold \"p\"");
    unlink(path);
}

/* A side file that nothing reads any more is named. */
static void check_left_over(void) {
    const char *m = model("hf-llama"), *so = at("left.so"), *side = at("left.so.weights");
    CHECK(run("'%s' -o '%s' --quiet --weights=file", m, so).status == 0 && access(side, F_OK) == 0);
    Run r = run("'%s' -o '%s' --quiet", m, so);
    CHECK(r.status == 0 && access(side, F_OK) == 0);
    CHECK_STR_CONTAINS(r.err, "left.so.weights: note: is left from before and not used");
    unlink(so), unlink(side);
}

static void check_broken_json(void) {
    const char *path = at("broken.json");
    write_file(path, "{ \"btc\": 1,\n  \"model\": [ }\n");
    Run r = run("'%s' -o '%s'", path, at("x.so"));
    CHECK(r.status == 1);
    CHECK_STR_CONTAINS(r.err, "broken.json:2:");
    CHECK_STR_CONTAINS(r.err, "error:");
    write_file(path, "");
    CHECK_FAILS(run("'%s' -o '%s'", path, at("x.so")), 1, "error:");
    write_file(path, "[1]");
    CHECK_FAILS(run("report '%s'", path), 1, "error:");
    write_file(path, "{ \"btc\": 1, \"modle\": [] }");
    CHECK_FAILS(run("'%s' -o '%s'", path, at("x.so")), 1, "error:");
    CHECK(access(at("x.so"), F_OK) != 0);
}

/* ---- outputs ---- */

static void check_artifacts(void) {
    const char *m = model("hf-mamba"), *dir = new_folder("made");
    CHECK_PRINTS(run("'%s' -o '%s/m.h' --name=tiny", m, dir), "");
    const char *header = read_text(arena_printf(arena, "%s/m.h", dir));
    CHECK_STR_CONTAINS(header, "TINY_STATE_BYTES");
    CHECK_PRINTS(run("'%s' -o '%s/m.so' --quiet", m, dir), "");
    const char *so = read_text(arena_printf(arena, "%s/m.so", dir));
    CHECK(so && !memcmp(so, "\177ELF", 4));
    CHECK(count_files(dir) == 2); /* nothing else was left there */
    CHECK_PRINTS(run("'%s' --emit=ir", m), "func @main.chunk");
    CHECK_PRINTS(run("'%s' --emit=description", m), "\"blocks\"");
    CHECK_PRINTS(run("'%s' --emit=stages -o '%s/stages'", m, dir), "");
    CHECK_STR_CONTAINS(read_text(arena_printf(arena, "%s/stages", dir)), "barrier");
}

/* In a chunk x dt of Mamba-2 splits as the scan that it feeds, and waits for its operands in its stead. */
static void check_splits(void) {
    if (!have("hf-mamba2")) return;
    Run r = run("'%s' --emit=stages", model("hf-mamba2"));
    const char *chunk = strstr(r.out, "@mamba2.chunk"), *v = chunk ? strstr(chunk, " v  ") : NULL;
    const char *scan = v ? strstr(v, "scan.matrix") : NULL, *waits = v ? strstr(v, "barrier") : NULL;
    CHECK(scan && waits && waits > scan);
    CHECK(v && strstr(v, "channels") < scan);
}

/* The form of an op over chunks is the one that is asked for, and the report says so. */
static void check_algorithms(void) {
    if (!have("gla") || !have("mamba3-mimo")) return;
    const char *m = model("gla");
    CHECK_STR_CONTAINS(run("report '%s'", m).out, "not chunked: a state of");
    CHECK_STR_CONTAINS(run("report '%s' --algorithm=scan.matrix:chunked", m).out, "--algorithm asks for it");
    CHECK_FAILS(run("report '%s' --algorithm=scan.matrix", m), 2, "\"scan.matrix\" must be OP:FORM");
    CHECK_FAILS(run("report '%s' --algorithm=linear:fast", m), 2, "no op \"linear\" with forms");
    CHECK_FAILS(run("report '%s' --algorithm=scan.matrix:fast", m), 2,
                "there are: \"chunked\", \"recurrent\"");
}

/* What fails leaves nothing behind, and what was there before stays. */
static void check_no_partial_output(void) {
    const char *m = model("hf-mamba"), *dir = new_folder("partial");
    const char *old = arena_printf(arena, "%s/old.so", dir);
    write_file(old, "old");
    CHECK(run("'%s' -o '%s' --cpu=zen9000", m, old).status == 2);
    CHECK_STR_CONTAINS(read_text(old), "old");
    CHECK(mkdir(arena_printf(arena, "%s/folder.so", dir), 0777) == 0);
    CHECK_FAILS(run("'%s' -o '%s/folder.so'", m, dir), 1, "cannot write");
    CHECK_FAILS(run("schema -o '%s/folder.so'", dir), 1, "cannot write");
    CHECK(count_files(dir) == 2);
}

static void check_unwritable(void) {
    const char *m = model("hf-mamba");
    CHECK_FAILS(run("'%s' -o /proc/x.so", m), 1, "/proc/x.so: error: cannot write");
    CHECK_FAILS(run("'%s' -o /proc/x.h", m), 1, "cannot write");
    CHECK_FAILS(run("'%s' -o '%s/no/x.so'", m, folder), 1, "cannot write");
    CHECK_FAILS(run("import '%s' -o '%s/no/m.json'", m, folder), 1, "cannot write");
    CHECK_FAILS(run("'%s' --emit=ir -o /proc/x", m), 1, "cannot write");
    struct stat st;
    if (stat("/dev/full", &st) != 0 || !S_ISCHR(st.st_mode)) {
        printf("cli: skipped what needs /dev/full\n");
        return;
    }
    static const char *const commands[] = {"schema", "list ops", "explain scan.matrix", "--help"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        CHECK_FAILS(run("%s >/dev/full", commands[i]), 1, "cannot write to standard output");
    CHECK_FAILS(run("report '%s' >/dev/full", m), 1, "cannot write to standard output");
    CHECK_FAILS(run("schema -o /dev/full"), 1, "/dev/full: error: cannot write");
    CHECK(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode)); /* not replaced by a file */
}

/* ---- list and explain ---- */

static void check_list(void) {
    static const struct {
        const char *word, *has;
    } lists[] = {
        {"ops", "over time"},
        {"ops", "scan.matrix"},
        {"ops", "Forms: chunked, recurrent"},
        {"ops", "prefetch"},
        {"passes", "split-entry"},
        {"targets", "x86-64-v3"},
        {"targets", "--gpu: sm_70"},
        {"architectures", "accepts: "},
        {"architectures", "LlamaForCausalLM"},
        {"commands", "explain"},
        {"costs", "what follows"},
        {"costs --cpu=znver4 --target=x86_64-linux-gnu", "vectors of 16"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        Run r = run("list %s", lists[i].word);
        CHECK_PRINTS(r, lists[i].has);
        CHECK(longest_line(r.out) <= 100);
    }
    const char *passes = run("list passes").out; /* in the order of the pipeline */
    CHECK(strstr(passes, "prune") < strstr(passes, "split-entry"));
    CHECK_FAILS(run("list"), 2, "list what?");
    CHECK_FAILS(run("list pases"), 2, "did you mean \"passes\"?");
}

/* The statement behind "example", as JSON. */
static bool example_parses(const char *text, const char *op) {
    const char *at_word = strstr(text, "\n  example    {");
    if (!at_word) return strstr(text, "  made by ") || strstr(text, "  example    \"w\": \"@");
    const char *end = NULL;
    cJSON *o = cJSON_ParseWithOpts(strchr(at_word, '{'), &end, 0);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "op");
    bool ok = cJSON_IsObject(o) &&
              (!strcmp(op, "call") || (cJSON_IsString(name) && !strcmp(name->valuestring, op)));
    cJSON_Delete(o);
    return ok;
}

static void check_explain(void) {
    Run r = run("explain scan.matrix");
    static const char *const parts[] = {"formula", "source",    "bonus?[h,n]", "S[h,p,n] = 0", "after|before",
                                        "chunked", "recurrent", "min_decay",   "tolerance",    "example"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) CHECK_STR_CONTAINS(r.out, parts[i]);
    CHECK_PRINTS(run("explain add"), "add (loop level)");
    CHECK_PRINTS(run("explain add"), "\"map\": \"add(a, b)\"");
    CHECK_PRINTS(run("explain topk"), "i32[T, k]");
    CHECK_PRINTS(run("explain prefetch"), "loop level");
    /* words that are no ops, other spellings, words of other frameworks */
    static const char *const words[][2] = {
        {"map", "elementwise arithmetic in a string"},
        {"max", "the op maximum"},
        {"'min('", "the op minimum"},
        {"'^'", "the op power"},
        {"clamp", "min(max(x, lo), hi)"},
        {"floor", "largest whole number"},
        {"erf", "Error function"},
        {"eos", "--stop-at-eos"},
        {"-", "the op sub"},
        {"pattern", "call in turn"},
        {"streams", "number of a tuning file"},
        {"hoist-constants", "a pass"},
        {"BTC_E_RANGE", "token id is negative"},
        {"--quant", "an option"},
        {"verify", "a command"},
        {"'@w'", "the name of a tensor"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        Run said = run("explain %s", words[i][0]);
        CHECK_PRINTS(said, words[i][1]);
        CHECK(longest_line(said.out) <= 120);
    }
    CHECK_FAILS(run("explain matmul"), 2, "linear serves (btc explain linear)");
    CHECK_FAILS(run("explain mapp"), 2, "did you mean \"map\"?");
    CHECK_FAILS(run("explain cap"), 2, "there is no op \"cap\", nor");
    CHECK_FAILS(run("explain scan.matri"), 2, "did you mean \"scan.matrix\"?");
    CHECK_FAILS(run("explain"), 2, "explain which op?");
    Run list = run("list ops");
    const char *end = strstr(list.out, "loop level");
    for (const char *p = list.out; p && end && p < end; p = strchr(p, '\n'), p = p ? p + 1 : p) {
        char op[64];
        if (strncmp(p, "  ", 2) || p[2] == ' ' || sscanf(p, " %63s", op) != 1) continue;
        Run e = run("explain %s", op);
        CHECK(e.status == 0 && longest_line(e.out) <= 100);
        if (!CHECK(example_parses(e.out, op))) fprintf(stderr, "    of %s\n", op);
    }
}

/* ---- schema and import ---- */

static void check_schema(void) {
    Run r = run("schema");
    cJSON *o = cJSON_Parse(r.out);
    CHECK(cJSON_IsObject(o) && cJSON_GetObjectItemCaseSensitive(o, "$defs"));
    cJSON_Delete(o);
    CHECK_PRINTS(run("schema -o '%s'", at("schema.json")), "");
    const char *file = read_text(at("schema.json")), *kept = read_text("docs/btc-model.schema.json");
    CHECK(file && !strcmp(file, r.out));
    if (!kept)
        printf("cli: skipped docs/btc-model.schema.json (not started in the project's folder)\n");
    else if (!CHECK(!strcmp(kept, r.out)))
        fprintf(stderr, "    the ops have changed: btc schema -o docs/btc-model.schema.json\n");
}

/* The description compiles to the same IR as the checkpoint, from wherever it stands. */
static void check_import_at(const char *input, const char *output, const char *weights) {
    CHECK_PRINTS(run("import %s -o '%s'", input, output), "");
    CHECK_STR_CONTAINS(read_text(output), arena_printf(arena, "\"weights\": \"%s\"", weights));
    Run direct = run("%s --emit=ir", input), imported = run("'%s' --emit=ir", output);
    CHECK(imported.status == 0);
    CHECK(!strcmp(direct.out, imported.out));
}

static void check_import(void) {
    const char *m = model("hf-mamba");
    CHECK_PRINTS(run("import '%s'", m), arena_printf(arena, "\"weights\": \"%s\"", m));
    CHECK_PRINTS(run("import '%s' -o -", m), "\"btc\": 1");
    new_folder("in"), new_folder("in/deep");
    CHECK(system(arena_printf(arena, "cp -r '%s' '%s'; chmod -R u+w '%s'", m, at("in/mamba"),
                              at("in/mamba"))) == 0);
    check_import_at(arena_printf(arena, "'%s'", at("in/mamba")), at("abs.json"), at("in/mamba"));
    char here[PATH_MAX];
    CHECK(getcwd(here, sizeof here) && chdir(at("in")) == 0);
    check_import_at("mamba", "m.json", "mamba");
    check_import_at("mamba", "./m.json", "mamba");
    check_import_at("mamba/", "deep/m.json", "../mamba");
    check_import_at("./mamba", "../m.json", "in/mamba");
    check_import_at("mamba", "mamba/own.json", ".");
    check_import_at("mamba/model.safetensors", "deep/w.json", "../mamba/model.safetensors");
    CHECK(symlink("mamba", "link") == 0);
    check_import_at("link", "deep/link.json", "../link");
    CHECK(chdir("mamba") == 0);
    check_import_at(".", "../deep/dot.json", "../mamba");
    CHECK(chdir(here) == 0);
    CHECK_FAILS(run("import"), 2, "which checkpoint?");
    CHECK_FAILS(run("import '%s'", at("none")), 1, "no such file or folder");
    CHECK_FAILS(run("import '%s/config.json'", m), 2, "is not a checkpoint");
    CHECK_FAILS(run("import tests/fuzz/corpus/gguf/two.gguf"), 1, "whose architecture is not imported");
    CHECK_FAILS(run("import x.onnx"), 1, "ONNX");
    CHECK_FAILS(run("import '%s' --arch=mambo -o '%s'", m, at("no.json")), 2, "mambo");
    CHECK(access(at("no.json"), F_OK) != 0);
}

/* ---- report ---- */

static double number(const cJSON *o, const char *path) {
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, ".");
        o = cJSON_GetObjectItemCaseSensitive(o, arena_strndup(arena, p, n));
        p += n + (p[n] == '.');
    }
    return cJSON_IsNumber(o) ? o->valuedouble : NAN;
}

static bool near(double x, double y) {
    return fabs(x - y) <= 1e-9 * fabs(y);
}

/* Sums over blocks are the totals, and the estimate follows from them. */
static void check_sums(const cJSON *r) {
    static const char *const keys[] = {"step.flops", "step.bytes", "prefill.flops", "prefill.bytes"};
    const cJSON *block, *run_of;
    for (int k = 0; k < 4; k++) {
        double sum = number(cJSON_GetObjectItemCaseSensitive(r, "main"), keys[k]);
        cJSON_ArrayForEach(block, cJSON_GetObjectItemCaseSensitive(r, "blocks")) {
            double layers = 0;
            cJSON_ArrayForEach(run_of, cJSON_GetObjectItemCaseSensitive(block, "layers")) layers +=
                cJSON_GetArrayItem(run_of, 1)->valuedouble - cJSON_GetArrayItem(run_of, 0)->valuedouble + 1;
            sum += layers * number(block, keys[k]);
        }
        CHECK(near(sum, number(r, arena_printf(arena, "total.%s", keys[k]))));
    }
    double memory = number(r, "estimate.bandwidth") / number(r, "total.step.bytes");
    double arithmetic = number(r, "estimate.peak") / number(r, "total.step.flops");
    CHECK(near(number(r, "estimate.step.tokens_per_second"), fmin(memory, arithmetic)));
}

static cJSON *report(const char *name, const char *options) {
    Run r = run("report '%s' --json %s", model(name), options);
    CHECK(r.status == 0);
    cJSON *o = cJSON_Parse(r.out);
    CHECK(cJSON_IsObject(o));
    return o;
}

static void check_report_text(const char *name, const char *has) {
    if (!have(name)) return;
    Run r = run("report '%s'", model(name));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.out, has);
    CHECK(!*r.err || strstr(r.err, ": note: ")); /* two containers of one checkpoint: which is read */
    CHECK(longest_line(r.out) <= 100);
    cJSON *o = report(name, "");
    check_sums(o);
    cJSON_Delete(o);
}

static void check_reports(void) {
    check_report_text("hf-mamba", "layers 0-2: mamba");
    check_report_text("hf-mamba2", "chunked");
    check_report_text("rwkv7", "not chunked: ");
    check_report_text("hf-recurrent-gemma", "layers 0-1, 3: recurrent");
    check_report_text("hf-recurrent-gemma", "layer 2: attention");
    check_report_text("hf-mixtral", "linear.experts");
    check_report_text("hyena-lm", "conv.long");
    if (have("hyena-lm")) { /* what comes out says how near it is */
        Run r = run("report '%s' --distill-filters=8", model("hyena-lm"));
        CHECK(r.status == 0);
        CHECK_STR_CONTAINS(r.out, "scan.modal");
        CHECK_STR_CONTAINS(r.err, "note: distilled backbone.layers.2.");
        CHECK_STR_CONTAINS(r.err, "36 filters of 70 taps, order 8; off by ");
        r = run("verify '%s' --input='%s/expected.safetensors' --distill-filters=8", model("hyena-order3"),
                model("hyena-order3"));
        CHECK(r.status == 0);
        CHECK_STR_CONTAINS(r.out, "all agree");
    }
    cJSON *f32 = report("hf-mamba", "--cpu=x86-64-v3 --target=x86_64-linux-gnu"),
          *bf16 = report("hf-mamba", "--dtype=bf16 --compress=no --cpu=x86-64-v3 --target=x86_64-linux-gnu"),
          *two = report("hf-mamba", "--threads=2 --chunk=32"),
          *fast = report("hf-mamba", "--bandwidth=1000 --peak=0.5");
    if (have("hf-llama")) {
        cJSON *first = report("hf-llama", "--past=0"), *later = report("hf-llama", "--past=10"),
              *half = report("hf-llama", "");
        double more = number(later, "total.step.flops") - number(first, "total.step.flops");
        CHECK(more > 0 && number(half, "total.step.flops") > number(later, "total.step.flops"));
        CHECK(number(later, "total.step.state_bytes") > number(first, "total.step.state_bytes"));
        check_sums(later);
        cJSON_Delete(first), cJSON_Delete(later), cJSON_Delete(half);
    }
    CHECK(number(f32, "total.layers") == 3 && number(f32, "lanes") == 8);
    CHECK(number(f32, "total.parameters") == number(bf16, "total.parameters"));
    /* matrices are half as large, the rest stays f32 */
    double ratio = number(bf16, "total.step.weight_bytes") / number(f32, "total.step.weight_bytes");
    CHECK(ratio > 0.5 && ratio < 0.7);
    cJSON *compressed = report("hf-mamba", "--dtype=bf16 --cpu=x86-64-v3 --target=x86_64-linux-gnu");
    ratio = number(compressed, "total.step.weight_bytes") / number(bf16, "total.step.weight_bytes");
    CHECK(ratio > 0.75 && ratio < 0.95); /* 12 of 16 bits, but for what stays f32 */
    cJSON_Delete(compressed);
    cJSON *steps = report("hf-mamba", "--forms=step --target=thumbv7em-none-eabi");
    CHECK(number(steps, "chunk") == 1); /* there is no code for more */
    CHECK(number(steps, "total.barriers.step") == 0);
    CHECK(number(steps, "total.step.flops") == number(steps, "total.prefill.flops"));
    cJSON_Delete(steps);
    CHECK(number(two, "chunk") == 32 && near(number(two, "estimate.bandwidth"), 40e9));
    CHECK(near(number(fast, "estimate.bandwidth"), 1e12) && near(number(fast, "estimate.peak"), 5e8));
    check_sums(fast);
    cJSON_Delete(f32), cJSON_Delete(bf16), cJSON_Delete(two), cJSON_Delete(fast);
    const char *m = model("hf-mamba");
    CHECK_PRINTS(run("report '%s' -o '%s'", m, at("report.txt")), "");
    CHECK_STR_CONTAINS(read_text(at("report.txt")), "tokens/s");
    CHECK_FAILS(run("report"), 2, "which model?");
    CHECK_FAILS(run("report '%s' --bandwidth=fast", m), 2, "--bandwidth=fast: must be a positive number");
    CHECK_FAILS(run("report '%s' --peak=-1", m), 2, "must be a positive number");
    CHECK_FAILS(run("report '%s' --threads=0", m), 2, "--threads");
    CHECK_FAILS(run("report '%s' --dtype=q4", m), 2, "must be f32, bf16 or f16");
}

/* ---- states in 16 bits ---- */

static void check_states(void) {
    const char *m = model("hf-mamba");
    cJSON *f32 = report("hf-mamba", ""), *bf16 = report("hf-mamba", "--state=bf16");
    CHECK(near(number(bf16, "total.step.state_bytes"), number(f32, "total.step.state_bytes") / 2));
    CHECK(near(number(bf16, "total.prefill.state_bytes"), number(f32, "total.prefill.state_bytes") / 2));
    CHECK(number(bf16, "total.step.weight_bytes") == number(f32, "total.step.weight_bytes"));
    cJSON_Delete(f32), cJSON_Delete(bf16);
    CHECK_PRINTS(run("report '%s' --state=f16", m), "for each sequence, in f16");
    CHECK_PRINTS(run("'%s' -o '%s' --name=narrow --state=f16", m, at("narrow.h")), "");
    const char *header = read_text(at("narrow.h"));
    CHECK_STR_CONTAINS(header, "  0.h  f16 as compiled");
    CHECK_PRINTS(run("'%s' -o '%s' --name=wide", m, at("wide.h")), "");
    CHECK_STR_CONTAINS(read_text(at("wide.h")), "  0.h  f32 as compiled");
    CHECK_PRINTS(run("verify '%s' --input='%s/expected.safetensors' --state=bf16 --chunk=16", m, m),
                 "all agree");
    CHECK_PRINTS(run("verify '%s' --input='%s/expected.safetensors' --state=f16 --form=step", m, m),
                 "all agree");
}

static void check_drift(void) {
    const char *m = model("hf-mamba"), *json = at("drift.json"), *text = at("drift.txt");
    Run r = run("drift '%s' --tokens=20,50 --last=10 --json='%s'", m, json);
    CHECK_PRINTS(r, "random ids, token by token; means over the last 10 tokens");
    CHECK_STR_CONTAINS(r.out, "        50  f16 ");
    CHECK(longest_line(r.out) <= 100);
    cJSON *o = cJSON_Parse(read_text(json)), *points = cJSON_GetObjectItemCaseSensitive(o, "points"), *p;
    CHECK(cJSON_GetArraySize(points) == 4);
    cJSON_ArrayForEach(p, points) {
        CHECK(number(p, "error") > 0 && number(p, "error") < 0.1);
        CHECK(number(p, "divergence_bits") >= 0 && number(p, "same") > 0.5 && number(p, "same") <= 1);
    }
    CHECK(number(o, "state_bytes.f16") == number(o, "state_bytes.bf16"));
    CHECK(number(o, "state_bytes.f16") < 0.6 * number(o, "state_bytes.f32"));
    cJSON_Delete(o);
    CHECK_PRINTS(run("drift '%s' --state=f16 --form=chunk --chunk=8 --tokens=30", m),
                 "random ids, in chunks");
    CHECK_FAILS(run("drift"), 2, "which model?");
    CHECK_FAILS(run("drift '%s' --state=f32", m), 2, "is what the others are compared with");
    CHECK_FAILS(run("drift '%s' --state=f8", m), 2, "--state=f8: must be f32, bf16 or f16");
    CHECK_FAILS(run("drift '%s' --tokens=50,20", m), 2, "must ascend");
    CHECK_FAILS(run("drift '%s' --tokens=many", m), 2, "--tokens=many");
    CHECK_FAILS(run("drift '%s' --form=interpret", m), 2, "must be step or chunk");
    CHECK_FAILS(run("drift '%s' --target=aarch64-linux-gnu", m), 2, "on this machine only");
    write_file(text, "too short");
    CHECK_FAILS(run("drift '%s' --tokens=20 --text='%s'", m, text), 1, "are no bytes of text");
    CHECK_FAILS(run("drift examples/scripture/model.json --tokens=20 --text='%s'", text), 1, "holds 9 bytes");
    if (have("hf-llama"))
        CHECK_FAILS(run("drift '%s' --tokens=9999999", model("hf-llama")), 2, "has at most");
    if (!have("hyena-order2")) return; /* features in, features out */
    CHECK_PRINTS(run("drift '%s/model.safetensors' --tokens=9 --last=9", model("hyena-order2")),
                 "random features");
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    check_help();
    check_options();
    check_broken_json();
    check_no_weights();
    check_left_over();
    check_list();
    check_explain();
    check_schema();
    if (have("hf-mamba")) {
        check_compile_errors();
        check_artifacts();
        check_splits();
        check_algorithms();
        check_no_partial_output();
        check_unwritable();
        check_import();
        check_reports();
        check_states();
        check_drift();
    }
    return finish("cli");
}
