/* btc tune as people call it, and what later commands do with the file that it writes. Nothing here depends
 * on how long anything takes.     test_tune [BTC [CONFORMANCE]]      defaults: build/btc and
 * tests/conformance */
#include <math.h>

#include "tune/results.h"
#include "tuning.h"

/* A copy of a case in the folder of this run: tuning writes beside the model. */
static const char *copy_of(const char *name, const char *as) {
    CHECK(system(arena_printf(arena, "cp -r '%s' '%s'", model(name), at(as))) == 0);
    return at(as);
}

static void check_errors(void) {
    const char *m = model("hf-mamba");
    CHECK_FAILS(run("tune"), 2, "which model?");
    CHECK_FAILS(run("tune nowhere"), 1, "no such file or folder");
    CHECK_FAILS(run("tune '%s' --rows=streems -o '%s'", m, at("t.json")), 2, "did you mean \"streams\"?");
    CHECK_FAILS(run("tune '%s' --rows= -o '%s'", m, at("t.json")), 2, "there is no parameter \"\"");
    CHECK_FAILS(run("tune '%s' --minutes=0 -o '%s'", m, at("t.json")), 2, "--minutes=0");
    CHECK_FAILS(run("tune '%s' --minutes=soon -o '%s'", m, at("t.json")), 2, "--minutes=soon");
    CHECK_FAILS(run("tune '%s' --for=decod -o '%s'", m, at("t.json")), 2, "did you mean \"decode\"?");
    CHECK_FAILS(run("tune '%s' -o '%s/t.json'", m, at("nowhere")), 1, "cannot write");
    CHECK_FAILS(run("tune '%s' --stop-after=prune", m), 2, "unknown option");
    Run away = run("tune '%s' --target=aarch64-linux-gnu -o '%s'", m, at("t.json"));
    CHECK(away.status == 1 && strstr(away.err, "only this machine can be measured"));
    CHECK(access(at("t.json"), F_OK) != 0);
}

/* Every number of the file lies in its range; rows that were not asked for are the cost model's. */
static void check_file(const char *file, const char *model_path) {
    Tuning t;
    cJSON *o = cJSON_Parse(read_text(file)), *report;
    Run r = run("report '%s' --json --tuning=none", model_path);
    report = cJSON_Parse(r.out);
    const cJSON *numbers = get(o, "numbers"), *guess = get(get(report, "tuning"), "numbers");
    CHECK(cJSON_GetArraySize(numbers) == TUNING_COUNT);
    CHECK(cJSON_IsString(get(get(o, "machine"), "cpu")) && cJSON_IsNumber(get(get(o, "machine"), "lanes")));
    CHECK(cJSON_IsArray(get(get(o, "measured"), "kept")));
    for (int i = 0; i < TUNING_COUNT; i++) {
        const TuningField *f = &TUNING_FIELDS[i];
        const cJSON *n = get(numbers, f->name), *g = get(guess, f->name);
        if (!CHECK(cJSON_IsNumber(n) && cJSON_IsNumber(g))) continue;
        CHECK(n->valueint >= f->least && n->valueint <= f->most);
        CHECK(n->valueint == g->valueint || !strcmp(f->name, "streams"));
        *tuning_at(&t, i) = n->valueint;
    }
    cJSON_Delete(o), cJSON_Delete(report);
}

static void check_tune(void) {
    const char *m = copy_of("hf-mamba", "mamba"), *file = at("mamba/btc.tune.json");
    Run r = run("tune '%s/' --minutes=0.1 --rows=streams --prompt=16 --tokens=4", m);
    CHECK(r.status == 0 && !*r.err);
    CHECK_STR_CONTAINS(r.out, "Beginning with the parameters of the cost model.");
    CHECK_STR_CONTAINS(r.out, "btc.tune.json written: ");
    CHECK(longest_line(read_text(file)) <= 240);
    check_file(file, m);

    r = run("'%s' -o '%s'", m, at("a/m.so"));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "mamba/btc.tune.json: its parameters are used: ");
    r = run("'%s' -o '%s' --quiet", m, at("b/m.so"));
    CHECK(r.status == 0 && !*r.err);
    CHECK_PRINTS(run("'%s' -o '%s' --tuning='%s' --quiet", m, at("c/m.so"), file), "");
    CHECK(same_files(at("a/m.so"), at("b/m.so")) && same_files(at("a/m.so"), at("c/m.so")));
    CHECK_PRINTS(run("report '%s'", m), "tells what they are), from ");
    CHECK_PRINTS(run("report '%s'", m), "mamba/btc.tune.json\n");
    CHECK_PRINTS(run("report '%s' --tuning=none", m), "from the cost model");
    CHECK_PRINTS(run("bench '%s' --prompt=8 --tokens=2 --repeat=1", m), "tuned by ");

    /* it is a beginning, too, and a goal may leave one form aside */
    r = run("tune '%s' --minutes=0.01 --for=decode --same-bits --tuning='%s' -o '%s' --prompt=8", m, file,
            at("again.json"));
    CHECK(r.status == 0 && !*r.err);
    CHECK_STR_CONTAINS(r.out, "Beginning with the parameters of ");
    CHECK(access(at("again.json"), F_OK) == 0);
}

static void check_other_machine(void) {
    const char *m = copy_of("hf-llama", "llama"), *cpu;
    int lanes;
    Tuning t;
    if (!this_machine(m, &cpu, &lanes, &t)) return;
    t.chunk = 32;
    tuning_file("llama/btc.tune.json", "x86-64-v2", 4, &t, -1);
    Run r = run("'%s' -o '%s' --cpu=x86-64-v3", m, at("a/m.so"));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "is for x86_64-linux-gnu, x86-64-v2 with vectors of 4, not for");
    CHECK_PRINTS(run("'%s' -o '%s' --cpu=x86-64-v3 --tuning=none", m, at("b/m.so")), "");
    CHECK(same_files(at("a/m.so"), at("b/m.so")));
    CHECK_FAILS(run("'%s' -o '%s' --cpu=x86-64-v3 --tuning='%s'", m, at("x.so"), at("llama/btc.tune.json")),
                1, "is for x86_64-linux-gnu, x86-64-v2");
    CHECK_PRINTS(run("report '%s' --cpu=x86-64-v2", m), "chunks of 32 tokens");
    CHECK_PRINTS(run("report '%s' --cpu=x86-64-v2 --chunk=64", m), "chunks of 64 tokens");
    r = run("report '%s' --cpu=x86-64-v2 --tuning='%s'", m,
            tuning_file("few.json", "x86-64-v2", 4, &t, tuning_find("chunk")));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "does not hold these parameters, which stay the cost model's: tile_rows");
}

/* Before it is timed, what a candidate computes is held against what the cost model's parameters do: other
 * weights stand for wrong code. */
static void check_results(const char *m) {
    Diag d = diag_new(arena, stderr);
    Tuner w = {.a = arena, .d = &d, .path = m, .prompt = 20, .tokens = 3, .batch = 2, .threads = 1};
    Results r[3] = {{0}};
    Candidate *c[3] = {0};
    Tuning usual;
    TargetInfo target;
    CandidateKey look;
    if (!CHECK(tuner_open(&w)) || !CHECK(tuner_parameters(&w, &usual, &target))) return;
    for (int i = 0; i < 3; i++) {
        Tuning t = usual;
        if (i == 1) t.streams = 1, t.scan_tokens = 8;
        if (i == 2) w.model.quant = "q4";
        CHECK(candidate_key(&w, &t, &look) && (c[i] = candidate_open(&w, &t, &look)) &&
              results_of(&w, c[i], &r[i]));
    }
    int64_t width = c[0] ? c[0]->subject.api->info->output_width : 0;
    CHECK(r[0].n == (7 + 3 * 2) * width && candidate_is_exact(c[0]));
    ResultsVerdict same = results_compare(&r[0], &r[0], false, true),
                   other = results_compare(&r[0], &r[1], true, true);
    CHECK(same.right && same.same_bits && other.right);
    CHECK(!results_compare(&r[0], &r[2], false, true).right &&
          !results_compare(&r[0], &r[2], true, true).right);
    r[1].v[3] = NAN;
    CHECK(!results_compare(&r[0], &r[1], true, false).right);
    for (int i = 0; i < 3; i++) candidate_close(c[i]);
    tuner_close(&w);
}

/* What was measured with another model, or stored otherwise, is used, and named. */
static void check_other_model(void) {
    const char *m = copy_of("hf-llama", "tuned"), *file = at("tuned/btc.tune.json"), *cpu;
    int lanes;
    Tuning t;
    if (!this_machine(m, &cpu, &lanes, &t)) return;
    CHECK(run("tune '%s' --minutes=0.01 --rows=streams --prompt=8 --tokens=2", m).status == 0);
    CHECK_PRINTS(run("'%s' -o '%s' --quiet", m, at("a/m.so")), "");
    Run r = run("'%s' -o '%s' --quant=q4 --quiet", m, at("a/m.so"));
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "tuned/btc.tune.json: warning: was measured with another model (\"tuned\"");
    r = run("'%s' -o '%s' --tuning='%s' --quiet", model("hf-mamba"), at("a/m.so"), file);
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.err, "was measured with another model");
    CHECK(!system(arena_printf(arena, "sed -i 's/\"name\": \"tuned\"/\"name\": 3/' '%s'", file)));
    CHECK_FAILS(run("'%s' -o '%s'", m, at("x.so")), 1, "model.name: must be a string");
}

static int barriers_of(const char *stages, const char *plan) {
    const char *at = strstr(stages, plan), *end = at ? strstr(at + 1, "\n@") : NULL;
    int n = 0;
    while (at && (at = strstr(at + 1, "-- barrier --")) && (!end || at < end)) n++;
    return n;
}

/* How often threads meet in a step of a block. */
static int step_barriers(const char *name, const char *plan) {
    return barriers_of(run("'%s' --emit=stages --quiet --tuning=none", model(name)).out, plan);
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    new_folder("a"), new_folder("b"), new_folder("c"); /* a library knows its own name, not its folder */
    if (have("hf-mamba") && have("hf-llama")) {
        check_errors();
        check_tune();
        check_other_machine();
        check_other_model();
        if (check_amount() != CHECK_FEW) check_results(model("hf-mamba"));
    }
    /* what is of low rank is computed whole by every thread: reading it costs less than a barrier */
    if (have("rwkv7")) CHECK(step_barriers("rwkv7", "@later.step") == 4);
    /* blocks of 10 channels do not end where panels do: tiny as they are, one thread does them */
    if (have("hf-recurrent-gemma")) CHECK(step_barriers("hf-recurrent-gemma", "@recurrent.step") == 4);
    return finish("tune");
}
