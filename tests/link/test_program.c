/* Standalone programs made of the made-up model: command line, text and ids, sampling, bits per byte, feature
 * rows, errors; for the host and under QEMU. */
#include <math.h>

#include "kit.h"

static void check_program(const char *arch, const char *runner, const char *const *object) {
    ArtifactSpec spec = tiny_spec("tiny");
    char *p = path("program");
    if (!CHECK(make(p, arch, object, &spec))) return;
    char *r = arena_printf(arena, "%s %s", runner, p);
    CHECK_STR_CONTAINS(run("%s --help", r), "--temperature");
    CHECK_STR_CONTAINS(run("%s --info", r), "parameters     65536");
    CHECK_STR_CONTAINS(run("%s --info", r), "h                            f32 [256], 1024 bytes at 64");
    char *one = run("%s --ids=1,2,3 --temperature=0 --tokens=20 --threads=1 --quiet", r);
    CHECK(strcmp(one, run("%s --ids=1,2,3 --temperature=0 --tokens=20 --threads=3 --quiet", r)) == 0);
    CHECK_STR_CONTAINS(one, ",");
    char *seed = run("%s abc --seed=5 --tokens=50 --quiet", r);
    CHECK(strcmp(seed, run("printf abc | %s --seed=5 --tokens=50 --quiet --stream", r)) == 0);
    CHECK(strcmp(seed, run("%s --prompt=abc --seed=6 --tokens=50 --quiet", r)) != 0);
    CHECK(strcmp(run("%s abc --top-k=1 --tokens=9 --quiet", r),
                 run("%s abc --temperature=0 --tokens=9 --quiet", r)) == 0);
    run("%s abc --top-p=0.5 --tokens=9 --quiet", r);
    CHECK_STR_CONTAINS(run("%s abc --tokens=5 2>&1", r), "tokens/s");

    /* bits per byte of a text longer than a block; the formula again, in double */
    char text[700];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * i % 96 + 32);
    FILE *f = fopen(path("text"), "wb");
    fwrite(text, 1, sizeof text, f);
    fclose(f);
    double bits = 0, h[FAKE_WIDTH] = {1};
    for (size_t t = 0; t < sizeof text; t++) {
        int64_t id = t ? text[t - 1] : '\n';
        double sum = 0, out[FAKE_WIDTH];
        for (int i = 0; i < FAKE_WIDTH; i++) h[i] = h[i] * 0.5 + (double)fake_weight(id * FAKE_WIDTH + i);
        for (int i = 0; i < FAKE_WIDTH; i++) out[i] = h[i] + h[(i + 1) % FAKE_WIDTH] * 0.25;
        for (int i = 0; i < FAKE_WIDTH; i++) sum += exp(out[i]);
        bits += log2(sum) - out[(unsigned char)text[t]] * log2(exp(1));
    }
    char *said = run("%s --bits-per-byte=%s --quiet", r, path("text"));
    CHECK_STR_CONTAINS(said, "bits per byte over 700 bytes");
    CHECK(fabs(atof(said) - bits / sizeof text) < 1e-4);

    static const char *const wrong[][2] = {
        {"--ids=1,256", "256 is not a token id"},
        {"--ids=1,x", "integers with commas"},
        {"--temperature=-1", "--temperature"},
        {"--tokens=many", "--tokens"},
        {"--no-such", "--help"},
        {"--tempreature=0", "did you mean --temperature?"},
        {"--quiet=1", "takes no value"},
        {"--ids", "needs a value"},
        {"--ids=1 --ids=2", "--ids: is given twice"},
        {"--ids=", "integers with commas"},
        {"--input=x", "not for this kind"},
        {"a b", "unexpected argument"},
        {"--bits-per-byte=/nonexistent", "cannot open"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status;
        CHECK_STR_CONTAINS(shell(&status, "%s %s 2>&1", r, wrong[i][0]), wrong[i][1]);
        CHECK(status == 1 || status == 2);
    }
    int status;
    CHECK_STR_CONTAINS(shell(&status, "%s abc 2>&1 > /dev/full", r),
                       "cannot write standard output: No space left");
    CHECK(status == 1);
}

/* How many threads it takes when it is not told: what OpenMP's variables say, and never more than may run. */
static void check_default_threads(const char *const *object) {
    static const char *const cases[][2] = {{"OMP_NUM_THREADS=3", "3"},
                                           {"OMP_NUM_THREADS=5,2", "5"},
                                           {"OMP_NUM_THREADS=4 OMP_THREAD_LIMIT=2", "2"},
                                           {"OMP_NUM_THREADS=99999", "1024"},
                                           {"OMP_NUM_THREADS=0", "1"},
                                           {"OMP_NUM_THREADS=two", "1"},
                                           {"OMP_THREAD_LIMIT=1", "1"},
                                           {"", "1"}}; /* the model is tiny */
    ArtifactSpec spec = tiny_spec("threads");
    char *p = path("threads");
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_STR_CONTAINS(
            run("env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT %s %s --info 2>&1", cases[i][0], p),
            arena_printf(arena, "threads        %s\n", cases[i][1]));
    CHECK_STR_CONTAINS(run("OMP_NUM_THREADS=3 %s --info --threads=2", p), "threads        2\n");
}

/* What the context has no room for, and an output that has no place, is said before anything is computed. */
static void check_before_work(const char *const *object) {
    ArtifactSpec spec = tiny_spec("short");
    char *p = path("short"), *text = path("short.txt");
    int status;
    spec.info.context = 40;
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    FILE *f = fopen(text, "w");
    for (int i = 0; f && i < 41; i++) fputc('a', f);
    CHECK(f && fclose(f) == 0);
    const char *const wrong[] = {"--ids=1,2,3 --tokens=39", "--bits-per-byte='%s'",
                                 "--dump=/dev/null < '%s'"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *mark = strstr(wrong[i], "%s");
        const char *line =
            mark ? arena_printf(arena, "%.*s%s'", (int)(mark - wrong[i]), wrong[i], text) : wrong[i];
        char *said = shell(&status, "%s %s 2>&1", p, line);
        CHECK(status == 1);
        CHECK(!strcmp(
            said, "short: error: the sequence would be longer than the model's context (40 positions)\n"));
    }
    run("%s --ids=1,2,3 --tokens=38 --quiet", p); /* the last token needs no step */
    CHECK_STR_CONTAINS(shell(&status, "%s --ids=1 --dump=/no/such/place 2>&1", p),
                       "cannot open /no/such/place");
    CHECK(status == 1);
}

/* What comes before the first of the ends, of a list of ids with commas between. */
static char *before_ends(const char *ids, const int64_t *ends, int n) {
    Text t = text_new(arena);
    for (const char *p = ids; *p && *p != '\n';) {
        char *next;
        int64_t id = strtoll(p, &next, 10);
        for (int i = 0; i < n; i++)
            if (id == ends[i]) return t.s;
        text_add(&t, t.n ? ",%lld" : "%lld", (long long)id);
        p = *next == ',' ? next + 1 : next;
    }
    return t.s;
}

/* A program stops at whichever end comes first, and only when asked to. */
static void check_ends(const char *const *object) {
    ArtifactSpec spec = tiny_spec("ends");
    char *p = path("ends"), *of = " --ids=1,2,3 --temperature=0 --tokens=30 --quiet";
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    char *all = run("%s%s", p, of), *at = all;
    int64_t made[30];
    for (int i = 0; i < 30; i++) made[i] = strtoll(at, &at, 10), at++;
    for (int i = 2; i < 30; i += 9) {
        int64_t two[] = {made[i], made[(i * 7 + 5) % 30]};
        spec.info.eos = two[0], spec.info.eos_ids = two, spec.info.eos_count = 2;
        if (!CHECK(make(p, "x86_64", object, &spec))) return;
        CHECK(!strcmp(run("%s%s", p, of), all));
        char *got = run("%s%s --stop-at-eos", p, of);
        got[strcspn(got, "\n")] = 0;
        CHECK(!strcmp(got, before_ends(all, two, 2)));
        CHECK_STR_CONTAINS(run("%s --info", p), arena_printf(arena, "ends with      %lld, %lld\n",
                                                             (long long)two[0], (long long)two[1]));
        CHECK(make(path("ends.h"), "x86_64", NULL, &spec));
        char *header = run("cat %s", path("ends.h"));
        CHECK_STR_CONTAINS(header, "#define ENDS_EOS_COUNT 2 ");
        CHECK_STR_CONTAINS(header, arena_printf(arena, "#define ENDS_EOS_IDS {%lld, %lld}", (long long)two[0],
                                                (long long)two[1]));
    }
    spec.info.eos = -1, spec.info.eos_count = 0;
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    int status;
    CHECK_STR_CONTAINS(shell(&status, "%s%s --stop-at-eos 2>&1", p, of), "the model has no end-of-sequence");
    CHECK(status == 2);
}

/* Ids as an argument, in a file, on standard input: the same. Text for a model of ids is a mistake. */
static void check_ids(const char *const *object) {
    ArtifactSpec spec = tiny_spec("ids");
    spec.info.text = BTC_TEXT_NONE;
    char *p = path("ids"), *of = "--temperature=0 --tokens=9 --quiet";
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    char *want = run("%s %s --ids=1,2,3", p, of);
    run("printf '1, 2\\n3\\n' > %s", path("list"));
    CHECK(!strcmp(run("%s %s --ids=@%s", p, of, path("list")), want));
    CHECK(!strcmp(run("%s %s --ids=- < %s", p, of, path("list")), want));
    CHECK(!strcmp(run("echo 1,2,3 | %s %s", p, of), want));
    static const char *const wrong[][2] = {
        {"echo hello | %s 2>&1", "standard input: must be integers with commas between, got \"hello\""},
        {"%s < /dev/null 2>&1", "give a prompt by --ids"},
        {"%s --ids=- < /dev/null 2>&1", "standard input: must be integers"},
        {"%s hello 2>&1", "does not take text"},
        {"echo 1,256 | %s 2>&1", "256 is not a token id"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int status;
        CHECK_STR_CONTAINS(shell(&status, wrong[i][0], p), wrong[i][1]);
        CHECK(status == 2);
    }
    char *help = run("%s --help", p);
    CHECK(!strstr(help, "In the beginning") && !strstr(help, "--bits-per-byte"));
    spec.info.bos = 3;
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    CHECK(!strcmp(run("%s %s < /dev/null", p, of), run("%s %s --ids=3", p, of)));
}

static float spoilt; /* stands in the weights, one in so many columns */
static int64_t spoilt_step;

static bool write_spoilt(void *user, OutFile *o, int64_t at, btc_checksum *sum) {
    (void)user;
    static float w[FAKE_WIDTH * FAKE_WIDTH];
    for (int64_t i = 0; i < FAKE_WIDTH * FAKE_WIDTH; i++)
        w[i] = i % spoilt_step == 0 ? spoilt : fake_weight(i);
    if (sum) *sum = btc_checksum_part(w, sizeof w / 8, 0);
    return out_write_at(o, at, w, sizeof w);
}

/* Some logits that are NaN are told of and never drawn; with none to choose from the program ends with 3. */
static void check_not_finite(const char *const *object) {
    static const char *const choices[] = {"--temperature=0", "--seed=1", "--top-k=5", "--top-p=0.9"};
    ArtifactSpec spec = tiny_spec("spoilt");
    spec.write_weights = write_spoilt;
    char *p = path("spoilt");
    for (int all = 0; all < 2; all++)
        for (int what = 0; what < 2; what++) {
            spoilt = what ? INFINITY : NAN, spoilt_step = all ? 1 : 16;
            if (!CHECK(make(p, "x86_64", object, &spec))) return;
            for (size_t k = 0; k < sizeof choices / sizeof *choices; k++) {
                int status;
                char *ids =
                    shell(&status, "%s --ids=1,2 --tokens=20 --quiet %s 2>%s", p, choices[k], path("said"));
                char *said = run("cat %s", path("said"));
                if (!all && !what) {
                    CHECK(status == 0);
                    CHECK_STR_CONTAINS(said, "warning: 32 of 256 logits for position 2 are NaN");
                    CHECK(strchr(said, '\n') == said + strlen(said) - 1); /* told of once */
                    for (int i = 0; i < 20; i++) {
                        int64_t id = strtoll(ids, &ids, 10);
                        CHECK(*ids++ == (i < 19 ? ',' : '\n') && id % 16 != 0 && id % 16 != 15);
                    }
                } else {
                    CHECK(status == 3);
                    CHECK_STR_CONTAINS(said, "the model's output for position 2 is not finite");
                    CHECK(!strchr(ids, ','));
                }
            }
        }
}

static void check_features_program(const char *const *object) {
    ArtifactSpec spec = tiny_spec("filter");
    spec.info.kind = BTC_FEATURES, spec.info.vocab = 0, spec.info.text = BTC_TEXT_NONE;
    spec.info.eos = -1, spec.info.eos_count = 0;
    spec.info.input_width = FAKE_FEATURES;
    spec.step = "fake_features_step", spec.chunk = "fake_features_chunk";
    char *p = path("filter");
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    run("head -c %d /dev/zero > %s", 300 * FAKE_FEATURES * 4, path("in.f32"));
    run("%s < %s > %s", p, path("in.f32"), path("out.f32"));
    CHECK(atoll(run("stat -c %%s %s", path("out.f32"))) == 300 * FAKE_WIDTH * 4);
    run("%s --input=%s --output=%s.2 --threads=1 --quiet && cmp %s %s.2", p, path("in.f32"), path("out.f32"),
        path("out.f32"), path("out.f32"));
    int status;
    CHECK_STR_CONTAINS(shell(&status, "head -c 100 /dev/zero | tail -c 18 | %s 2>&1", p),
                       "ends inside a row");
    CHECK(status == 1);
    CHECK_STR_CONTAINS(shell(&status, "%s < %s 2>&1 > /dev/full", p, path("in.f32")), "No space left");
    CHECK(status == 1);
}

int main(void) {
    if (!kit_open()) return 1;
    const char *object[] = {fake_object("gcc")};
    check_program("x86_64", "", object);
    check_default_threads(object);
    check_ends(object);
    check_ids(object);
    check_not_finite(object);
    check_before_work(object);
    check_features_program(object);
    static const Target *const others[] = {&target_aarch64, &target_riscv64};
    for (int i = 0; i < 2; i++) {
        const char *runner = runner_of("program", others[i]);
        if (!runner) continue;
        object[0] = fake_object(arena_printf(arena, "%s-gcc", others[i]->name));
        check_program(others[i]->name, runner, object);
    }
    CHECK(diag.errors == 0);
    kit_close();
    return check_report("program");
}
