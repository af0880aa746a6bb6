/* What an argument makes impossible is said before the work, not after it; and what takes long is seen, on a
 * terminal. test_before_work [BTC [CONFORMANCE]]
 *
 * That nothing was done yet is seen by two faults at once: the model is a file that cannot be read, or a
 * later step must fail as well, and what is said is about the argument. */
#include "kit.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <time.h>

#include "base/progress.h"
#include "weights/weights.h"

/* ---- arguments ---- */

/* A file of n ids, of which number `bad` is `id`. */
static const char *ids_file(const char *name, int n, int bad, int id) {
    int64_t *ids = ARENA_ARRAY(arena, int64_t, n);
    for (int i = 0; i < n; i++) ids[i] = i == bad ? id : i * 7 % 60;
    RawTensor t = {.name = "input_ids", .dt = DT_I64, .rank = 2, .dim = {1, n}, .data = (const void *)ids};
    t.bytes = sizeof *ids * (size_t)n;
    Diag d = diag_new(arena, stderr);
    CHECK(safetensors_write(&d, arena, at(name), &t, 1));
    return at(name);
}

/* Outputs that cannot be written, for every command that writes one. The model does not exist. */
static void check_outputs(void) {
    static const char *const commands[] = {"compile no.json -o '%s'",
                                           "compile no.json --emit=asm -o '%s'",
                                           "import no/ -o '%s'",
                                           "report no.json -o '%s'",
                                           "bench no.json --json='%s'",
                                           "bench no.json --chart='%s'",
                                           "tune no.json -o '%s'",
                                           "verify no.json --input=no.safetensors --write='%s'",
                                           "drift no.json --json='%s'",
                                           "quantize no.json --report --json='%s'",
                                           "schema -o '%s'",
                                           "quantize no.json --calibrate --text=no.txt -o '%s'"};
    const char *inner = new_folder("in the way.so");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *places[] = {at("no such folder/x.so"), inner, "/proc/x.so", ""};
        static const char *const messages[] = {"No such file or directory", "Is a directory",
                                               "cannot write: No such file", "cannot write"};
        for (int k = 0; k < (i == 11 ? 4 : 3); k++) {
            const char *line = commands[i], *mark = strstr(line, "%s");
            Run r = run("%.*s%s%s", (int)(mark - line), line, places[k], mark + 2);
            CHECK(r.status == 1);
            if (!strstr(r.err, messages[k])) CHECK_STR_CONTAINS(r.err, "cannot write");
            if (!CHECK(!strstr(r.err, "no.json") && !strstr(r.err, "no such file or folder")))
                fprintf(stderr, "    %s: %s", line, r.err);
        }
    }
    CHECK(count_files(folder) == 1 && count_files(inner) == 0);
    const char *side = new_folder("side.so.weights"); /* a side file's own place */
    CHECK_FAILS(run("no.json -o '%s' --weights=file", at("side.so")), 1,
                "side.so.weights: error: cannot write");
    CHECK(count_files(side) == 0);
}

/* Words and names of the options, before the model is opened. */
static void check_words(void) {
    CHECK_FAILS(run("no.json -o '%s'", at("x.dll")), 2, "cannot tell from this name what to make");
    CHECK_FAILS(run("no.json -o '%s' --math=int4", at("x.so")), 2, "--math=int4");
    CHECK_FAILS(run("no.json -o '%s' --compress=on", at("x.so")), 2, "--compress=on");
    CHECK_FAILS(run("no.json -o '%s' --state=f64", at("x.so")), 2, "--state=f64");
    CHECK_FAILS(run("no.json -o '%s' --stop-after=prune", at("x.so")), 2, "--stop-after");
    CHECK_FAILS(run("no.json -o '%s' --target=nvptx64", at("x.so")), 1, "nothing can be linked for nvptx64");
    CHECK_FAILS(run("bench no.json --math=int4"), 2, "--math=int4");
    CHECK_FAILS(run("tune no.json --math=int4 -o '%s'", at("t.json")), 2, "--math=int4");
    CHECK_FAILS(run("drift no.json --compress=on"), 2, "--compress=on");
    CHECK_FAILS(run("verify no.json --input=no.safetensors --math=int4"), 2, "--math=int4");
    CHECK_FAILS(run("quantize no.json --report --quant=q4 --compress=on"), 2, "--compress=on");
    CHECK(access(at("x.so"), F_OK) != 0 && access(at("t.json"), F_OK) != 0);
}

/* What a file of ids holds, before an interpreter reads it or a variant is compiled: ld.lld is not found, so
 * who compiles first says another thing. */
static void check_ids(void) {
    const char *m = model("hf-llama"), *q = "quantize '%s' --report --quant=q8 --input='%s' --tokens=%d";
    if (!have("hf-llama")) return;
    char *path = arena_strdup(arena, getenv("PATH"));
    setenv("PATH", "/bin:/usr/bin/nowhere", 1);
    const char *exact = ids_file("exact.safetensors", 40, -1, 0);
    const char *late = ids_file("late.safetensors", 700, 690, 1 << 30);
    CHECK_FAILS(run(q, m, exact, 40), 1, "holds 40 tokens, 41 are needed");
    CHECK_FAILS(run(q, m, late, 699), 1, "id 1073741824 of token 690 is not below");
    CHECK_FAILS(run("drift '%s' --input='%s' --tokens=40", m, exact), 1, "holds 40 tokens, 41 are needed");
    CHECK_FAILS(run("drift '%s' --input='%s' --tokens=699", m, late), 1, "of token 690 is not below");
    CHECK_FAILS(run("drift '%s' --tokens=20,10", m), 2, "must ascend");
    CHECK_FAILS(run("quantize '%s' --report --quant=q8 --tokens=10000000", m), 2, "has at most");
    CHECK_FAILS(run("drift '%s' --tokens=10000000", m), 2, "has at most");
    CHECK_FAILS(run("bench '%s' --prompt=10000000", m), 1, "tokens at most");
    const char *not_one = ids_file("calibration.safetensors", 4, -1, 0);
    Run r = run("quantize '%s' --report --quant=q4 --calibration='%s' --tokens=8", m, not_one);
    CHECK(r.status == 1);
    CHECK_STR_CONTAINS(r.err, "calibration.safetensors");
    setenv("PATH", path, 1);
}

/* Sizes that no machine has: of a value, of a call's memory, of a state. The number that asks for them is
 * named. */
static void check_sizes(void) {
    static const float gain[2048];
    RawTensor t = {.name = "gain", .dt = DT_F32, .rank = 1, .dim = {2048}, .data = (const void *)gain};
    t.bytes = sizeof gain;
    Diag d = diag_new(arena, stderr);
    CHECK(safetensors_write(&d, arena, at("wide.safetensors"), &t, 1));
    const char *wide = at("wide.json"); /* every token takes 2048 x 2048 numbers, 16 MiB */
    write_file(wide,
               "{\"btc\": 1, \"name\": \"wide\", \"dims\": {\"N\": 2048}, "
               "\"weights\": \"wide.safetensors\", \"input\": {\"features\": \"N\"}, \"model\": ["
               "{\"out\": \"g\", \"map\": \"input * @gain[N]\"},"
               "{\"out\": \"a\", \"op\": \"reshape\", \"x\": \"g\", \"shape\": [\"N\", 1]},"
               "{\"out\": \"b\", \"op\": \"reshape\", \"x\": \"g\", \"shape\": [1, \"N\"]},"
               "{\"out\": \"c\", \"op\": \"concat\", \"axis\": 0, \"in\": [\"b\", \"b\"]},"
               "{\"out\": \"c\", \"map\": \"a * b\"},"
               "{\"out\": \"y\", \"op\": \"softmax\", \"x\": \"c\"},"
               "{\"out\": \"y\", \"op\": \"slice\", \"x\": \"y\", \"axis\": 0, \"start\": 3, \"size\": 1},"
               "{\"out\": \"y\", \"op\": \"reshape\", \"x\": \"y\", \"shape\": [\"N\"]}], "
               "\"output\": \"y\"}");
    CHECK_FAILS(run("'%s' -o '%s' --chunk=1048576", wide, at("x.so")), 1,
                "--chunk=1048576: a call would need");
    CHECK_FAILS(run("'%s' -o '%s' --chunk=16384", wide, at("x.so")), 1, "--chunk=16384: a call would need");
    CHECK_FAILS(run("'%s' -o '%s' --batch=4096", wide, at("x.so")), 1, "--batch=4096: a call would need");
    CHECK(run("'%s' -o '%s' --chunk=64", wide, at("x.so")).status == 0);
}

/* ---- progress ---- */

/* All that comes out of a file without waiting. */
static const char *drain(int fd) {
    Text t = text_new(arena);
    char part[512];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 200) > 0) {
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0) break;
        text_add_n(&t, part, (size_t)n);
    }
    return t.s ? t.s : "";
}

static void wait_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* With stderr on a terminal, or not: what two nested phases of some seconds show. */
static const char *shown(bool terminal, bool quiet) {
    int saved = dup(2), ends[2];
    if (terminal) {
        ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
        CHECK(ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0);
        ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
    } else {
        CHECK(pipe(ends) == 0);
    }
    dup2(ends[1], 2);
    Progress *p = progress_new(quiet);
    progress_phase(p, "outer work", 4);
    progress_step(p);
    progress_phase(p, "inner work", 0);
    wait_ms(1800);
    for (int i = 0; i < 40; i++) progress_phase(p, "deep", 3), progress_step(p), progress_note(p, "note");
    for (int i = 0; i < 45; i++) progress_done(p); /* more than there are */
    progress_free(p);
    fflush(stderr);
    dup2(saved, 2);
    close(saved), close(ends[1]);
    const char *text = drain(ends[0]);
    close(ends[0]);
    return text;
}

static void check_progress(void) {
    const char *text = shown(true, false);
    CHECK_STR_CONTAINS(text, "\r\033[Kouter work [#####...............] 1 of 4");
    CHECK_STR_CONTAINS(text, ": inner work");
    size_t n = strlen(text);
    CHECK(n > 4 && !strcmp(text + n - 4, "\r\033[K")); /* the line is gone */
    CHECK(!strchr(text, '\n'));
    CHECK(!*shown(true, true));
    CHECK(!*shown(false, false));
    progress_phase(NULL, "nothing", 1), progress_step(NULL), progress_note(NULL, "x"), progress_done(NULL);
    progress_free(NULL);
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    check_outputs();
    check_words();
    check_ids();
    check_sizes();
    check_progress();
    return finish("before work");
}
