/* btc bench as people call it: what is printed and written, and that the figures belong together. Nothing
 * here depends on how long anything takes. test_bench [BTC [CONFORMANCE]]      defaults: build/btc and
 * tests/conformance */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>

#include "kit.h"

static const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static double number(const cJSON *o, const char *key) {
    const cJSON *n = get(o, key);
    return cJSON_IsNumber(n) ? n->valuedouble : NAN;
}

static bool is_word(const cJSON *o, const char *key, const char *word) {
    const cJSON *s = get(o, key);
    return cJSON_IsString(s) && !strcmp(s->valuestring, word);
}

static cJSON *bench(const char *name, const char *options) {
    Run r = run("bench '%s' %s --json='%s'", model(name), options, at("bench.json"));
    CHECK(r.status == 0 && !*r.err);
    CHECK(longest_line(r.out) <= 100);
    cJSON *o = cJSON_Parse(read_text(at("bench.json")));
    CHECK(cJSON_IsObject(o));
    return o;
}

/* median, least and most are those of the repetitions */
static void check_series(const cJSON *s, int repeat) {
    const cJSON *all = get(s, "all"), *v;
    double least = INFINITY, most = -INFINITY;
    CHECK(cJSON_GetArraySize(all) == repeat);
    cJSON_ArrayForEach(v, all) {
        CHECK(v->valuedouble > 0);
        least = fmin(least, v->valuedouble), most = fmax(most, v->valuedouble);
    }
    CHECK(number(s, "least") == least && number(s, "most") == most);
    CHECK(number(s, "median") >= least && number(s, "median") <= most);
}

static void check_run(const cJSON *r, int repeat, bool known) {
    bool decode = is_word(r, "run", "decode");
    check_series(get(r, "tokens_per_second"), repeat), check_series(get(r, "seconds"), repeat);
    double tokens = decode ? number(r, "batch") : number(r, "tokens");
    double rate = cJSON_GetArrayItem(get(get(r, "tokens_per_second"), "all"), 0)->valuedouble,
           seconds = cJSON_GetArrayItem(get(get(r, "seconds"), "all"), 0)->valuedouble;
    CHECK(fabs(rate * seconds - tokens) < 1e-6 * tokens);
    CHECK(!get(r, "of_bandwidth") == !known && !get(r, "of_peak") == !known);
    if (!known) return;
    check_series(get(r, "of_bandwidth"), repeat), check_series(get(r, "of_peak"), repeat);
    CHECK(number(get(r, "work"), "flops") > 0 && number(get(r, "work"), "weight_bytes") > 0);
}

static void check_lists(void) {
    cJSON *o = bench("hf-mamba", "--prompt=16,40 --tokens=4 --threads=1,2 --batch=1,3 --repeat=2");
    const cJSON *runs = get(o, "runs"), *limits = get(get(o, "machine"), "limits"), *r;
    CHECK(cJSON_GetArraySize(limits) == 2 && cJSON_GetArraySize(runs) == 8);
    cJSON_ArrayForEach(r, limits) {
        check_series(get(r, "bandwidth"), 2), check_series(get(r, "peak"), 2);
    }
    cJSON_ArrayForEach(r, runs) {
        check_run(r, 2, true);
        CHECK(!get(r, "profile"));
    }
    /* a batch reads the weights once, and works for each of its sequences */
    const cJSON *one = get(cJSON_GetArrayItem(runs, 2), "work"),
                *three = get(cJSON_GetArrayItem(runs, 3), "work");
    CHECK(number(three, "flops") == 3 * number(one, "flops"));
    CHECK(number(three, "weight_bytes") < 1.5 * number(one, "weight_bytes"));
    CHECK(number(three, "state_bytes") == 3 * number(one, "state_bytes"));
    cJSON_Delete(o);
}

/* Work is that of the positions that were run: attention over a short past does less than over a long one. */
static void check_past(void) {
    cJSON *o = bench("hf-llama", "--prompt=8,16 --tokens=2 --repeat=1");
    const cJSON *runs = get(o, "runs");
    double few = number(get(cJSON_GetArrayItem(runs, 0), "work"), "flops"),
           many = number(get(cJSON_GetArrayItem(runs, 1), "work"), "flops");
    CHECK(many > 2 * few * 0.9 && many < 4 * few);
    double state = number(get(cJSON_GetArrayItem(runs, 2), "work"), "state_bytes");
    CHECK(state > 0 && state < number(get(o, "model"), "state_bytes"));
    cJSON_Delete(o);
}

static void check_profile(const char *name, const char *stage) {
    cJSON *o = bench(name, "--prompt=20 --tokens=2 --threads=2 --repeat=1 --profile");
    const cJSON *r, *s;
    cJSON_ArrayForEach(r, get(o, "runs")) {
        const cJSON *p = get(r, "profile");
        double work = 0, wait = 0, flops = 0, last = INFINITY;
        bool found = false;
        cJSON_ArrayForEach(s, get(p, "stages")) {
            double t = number(s, "seconds") + number(s, "wait_seconds");
            CHECK(t <= last && number(s, "seconds_longest") >= number(s, "seconds"));
            CHECK(number(s, "layers") >= 1);
            last = t, work += number(s, "seconds"), wait += number(s, "wait_seconds");
            flops += number(get(s, "work"), "flops");
            found = found || is_word(s, "value", stage);
        }
        CHECK(found && work > 0);
        CHECK(fabs(work - number(p, "stage_seconds")) <= 1e-9 * work);
        CHECK(wait <= number(p, "wait_seconds") * (1 + 1e-9));
        CHECK(fabs(flops - number(get(r, "work"), "flops")) <= 1e-9 * flops);
    }
    cJSON_Delete(o);
}

/* A bar for every run and for the stages that matter. */
static void check_chart(void) {
    const char *svg = at("chart.svg");
    Run r = run("bench '%s' --prompt=16 --tokens=2 --batch=1,2 --repeat=1 --profile --chart='%s'",
                model("hf-mamba"), svg);
    CHECK(r.status == 0 && !*r.err);
    const char *text = read_text(svg);
    CHECK(text && !strncmp(text, "<svg ", 5) && strstr(text, "</svg>\n"));
    CHECK_STR_CONTAINS(text, "prefill of 16, 1 thread");
    CHECK_STR_CONTAINS(text, "decode, batch of 2, 1 thread");
    CHECK_STR_CONTAINS(text, "mamba.y  scan.expand");
    CHECK_FAILS(run("bench '%s' --chart=x.svg", at("m.so")), 2, "--chart needs the model itself");
}

static void check_library(void) {
    const char *so = at("m.so");
    CHECK_PRINTS(run("'%s' -o '%s' --quiet --batch=2", model("hf-mamba"), so), "");
    Run r = run("bench '%s' --prompt=8 --tokens=2 --repeat=1 --json='%s'", so, at("so.json"));
    CHECK(r.status == 0 && !*r.err);
    CHECK_STR_CONTAINS(r.out, "does not tell its work");
    cJSON *o = cJSON_Parse(read_text(at("so.json")));
    const cJSON *x;
    CHECK(cJSON_GetArraySize(get(o, "runs")) == 2);
    cJSON_ArrayForEach(x, get(o, "runs")) check_run(x, 1, false);
    cJSON_Delete(o);
    CHECK_FAILS(run("bench '%s' --profile", so), 2, "--profile needs the model itself");
    CHECK_FAILS(run("bench '%s' --quant=q8", so), 2,
                "--quant says how to compile, and a library is compiled");
    CHECK_FAILS(run("bench '%s' --batch=4 --repeat=1", so), 1, "was compiled for 2 sequences in a step");
    write_file(at("no.so"), "not a library");
    CHECK_FAILS(run("bench '%s'", at("no.so")), 1, "cannot be loaded");
    CHECK_FAILS(run("bench '%s'", at("none.so")), 1, "no such file");
}

static void check_errors(void) {
    const char *m = model("hf-mamba");
    CHECK_FAILS(run("bench"), 2, "which model?");
    CHECK_FAILS(run("bench '%s' --threads=1,,2", m), 2, "--threads=1,,2: must be up to 16 whole numbers");
    CHECK_FAILS(run("bench '%s' --prompt=0", m), 2, "--prompt=0");
    CHECK_FAILS(run("bench '%s' --batch=-1", m), 2, "--batch=-1");
    CHECK_FAILS(run("bench '%s' --tokens=0", m), 2, "--tokens");
    CHECK_FAILS(run("bench '%s' --repeat=1001", m), 2, "at most 1000");
    CHECK_FAILS(run("bench '%s' --stop-after=prune", m), 2, "--stop-after");
    CHECK_FAILS(run("bench '%s' --target=aarch64-linux-gnu", m), 2, "only this machine can be measured");
    CHECK_FAILS(run("bench '%s' --prompt=100000", model("hf-llama")), 1, "tokens at most");
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    if (have("hf-mamba") && have("hf-llama")) {
        check_errors();
        check_lists();
        check_past();
        check_profile("hf-mamba", "y");
        if (check_amount() != CHECK_FEW) check_profile("hf-llama", "logits");
        check_library();
        check_chart();
    }
    return finish("bench");
}
