/* What goes wrong outside of the model: options, places that cannot be written, full disks, ids beyond the
 * vocabulary, and signals in the middle of it. Nothing of btc's stays behind.
 *     test_refused [BTC [CONFORMANCE]] */
#include <time.h>

#include "edit.h"
#include "weights/build.h"

static void refuse(const char *title, const char *args, int errors, const char *where, const char *what) {
    check_refused(title, args, run_btc(args), errors, where, what);
}

static void check_options(void) {
    fresh_copy("hf-llama");
    refuse("an unknown machine", "m -o out/x.so --target=z80", 1, "btc: error: --target",
           "unknown target \"z80\"");
    refuse("an unknown CPU", "m -o out/x.so --target=x86_64-linux-gnu --cpu=zen9000", 1, "btc: error: --cpu",
           "btc list targets");
    refuse("a typo in a CPU", "m -o out/x.so --target=x86_64-linux-gnu --cpu=x86-64-v33", 1,
           "btc: error: --cpu", "did you mean \"x86-64-v3\"?");
    refuse("a CPU of another machine", "m -o out/x.so --target=aarch64-linux-gnu --cpu=x86-64-v3", 1,
           "btc: error: --cpu", "has no model");
    refuse("a library without a system to load it", "m -o out/x.so --target=thumbv7em-none-eabi", 1,
           "out/x.so: error: ", "there are no shared libraries for thumbv7em-none-eabi");
    refuse("weights beside code that reads no files", "m -o out/x.o --target=x86_64-none --weights=file", 1,
           "out/x.o: error: --weights=file", "reads no files");
    refuse("a program for a processor without a board",
           "m -o out/x --target=thumbv8m.main-none-eabi --cpu=cortex-m33", 1,
           "out/x: error: ", "make a .o or a .a");
    refuse("chunks without code for them", "m -o out/x.o --forms=step --chunk=16", 1,
           "btc: error: --chunk=16", "leave it out");
    refuse("unknown forms", "m -o out/x.o --forms=steps", 1, "btc: error: --forms=steps",
           "must be all or step");
    refuse("code made for nothing known", "m -o out/x.o --optimize=sise", 1, "btc: error: --optimize=sise",
           "did you mean \"size\"?");
    refuse("an unknown form", "verify m --form=stpe --input=m/expected.safetensors", 1,
           "btc: error: --form=stpe", "step");
    refuse("an unknown text to emit", "m --emit=lops", 1, "btc: error: --emit=lops",
           "did you mean \"loops\"?");
    refuse("an unknown dtype", "m -o out/x.so --dtype=fp16", 1, "btc: error: --dtype=fp16", "bf16");
    refuse("an unknown option", "m -o out/x.so --cunk=4", 1, "btc: error: unknown option --cunk=4",
           "--chunk");
    refuse("a number that is none", "m -o out/x.so --chunk=four", 1, "btc: error: --chunk", "four");
    refuse("a number below its range", "m -o out/x.so --batch=-1", 1, "btc: error: --batch", "-1");
    refuse("a chunk longer than any", "m -o out/x.so --chunk=1073741824", 1, "btc: error: --chunk",
           "from 1 to 1048576");
    refuse("a batch larger than any", "m -o out/x.so --batch=1073741824", 1, "btc: error: --batch",
           "from 1 to 4096");
    refuse("more threads than the runtime takes", "verify m --threads=1025", 1, "btc: error: --threads",
           "from 1 to 1024");
    refuse("prompts longer than any", "bench m --prompt=16,99999999", 1, "btc: error: --prompt=16,99999999",
           "from 1 to 16777216");
    refuse("an ending that says nothing", "m -o out/x.dll", 1, "out/x.dll: error: ", ".so");
    refuse("no output", "m", 1, "btc: error: ", "-o OUTPUT");
    refuse("no input", "-o out/x.so", 1, "btc: error: ", "which model?");
    refuse("an unknown pass", "m -o out/x.so --stop-after=prun", 1,
           "btc: error: ", "did you mean \"prune\"?");
    refuse("a name that is no name", "m -o out/x.so --name=a-b", 1, "btc: error: --name", "a-b");
    refuse("an unknown op", "explain scan.matrx", 1, "btc: error: ", "did you mean");
    refuse("no filters to distill", "m -o out/x.so --distill-filters=8", 1, "btc: error: --distill-filters",
           "no long filters");
    refuse("an order below its range", "m -o out/x.so --distill-filters=0", 1,
           "btc: error: --distill-filters", "\"0\"");
    if (have_case("hyena-lm")) {
        fresh_copy("hyena-lm");
        refuse("an odd order", "m -o out/x.so --distill-filters=7", 1,
               "m (imported):", "--distill-filters=7: must be even and from 2 to 34, for filters of 70 taps");
        refuse("an order too large for the filter", "report m --distill-filters=36", 1,
               "m (imported):", "from 2 to 34");
        fresh_copy("hf-llama");
    }
    refuse("a format of others", "m.onnx -o out/x.so", 1, "m.onnx: error: ", "ONNX");
}

/* ---- places ---- */

static void check_places(void) {
    fresh_copy("hf-llama");
    CHECK(mkdir("out.folder", 0777) == 0 && mkdir("out.folder/x.so", 0777) == 0 &&
          mkdir("locked", 0777) == 0);
    static const char *const outputs[] = {"x.so", "x.a", "x.o", "x.h", "x"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        refuse(arena_printf(arena, "a folder that is not there: %s", outputs[i]),
               arena_printf(arena, "m -o nowhere/%s", outputs[i]), 1,
               arena_printf(arena, "nowhere/%s: error: cannot write: No such file or directory", outputs[i]),
               NULL);
    refuse("text into a folder that is not there", "m --emit=ir -o nowhere/x.btir", 1,
           "nowhere/x.btir: error: ", NULL);
    refuse("a description into a folder that is not there", "import m -o nowhere/m.json", 1,
           "nowhere/m.json: error: ", NULL);
    refuse("a folder has the output's name", "m -o out.folder/x.so", 1,
           "out.folder/x.so: error: cannot write", NULL);
    CHECK(!strcmp(list("out.folder"), "x.so "));
    refuse("a file in place of the folder", "m -o m/config.json/x.so", 1,
           "m/config.json/x.so: error: cannot write", NULL);
    if (geteuid() == 0) {
        printf("refused: skipped the folder that may not be written: root may\n");
    } else {
        CHECK(chmod("locked", 0555) == 0);
        refuse("a folder that may not be written", "m -o locked/x.so", 1, "locked/x.so: error: cannot write",
               NULL);
        CHECK(chmod("locked", 0777) == 0);
    }
    refuse("a system that takes no files", "m -o /proc/x.so", 1, "/proc/x.so: error: cannot write", NULL);
}

/* A limit on the size of files stands for a full disk: a write fails in the middle. */
static void check_full_disk(void) {
    static const long limits[] = {1, 20000, 150000};
    static const char *const outputs[] = {"x.so", "x.a", "x.o", "x", "y.so --weights=file"};
    fresh_copy("hf-llama");
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        const char *args = arena_printf(arena, "m -o out/%s --quiet", outputs[i]);
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
            Ran r = run_limited(limits[k], arena_printf(arena, "exec '%s' %s", btc, args));
            bool ok = CHECK(r.status > 0 && r.status < 126);
            ok &= CHECK(count_lines(r.err, "error: ") == 1 && count_lines(r.err, "") == 1);
            ok &= CHECK(!*list("out"));
            if (!ok)
                fprintf(stderr, "    %s in %ld bytes: status %d, out/: %s\n%s\n", args, limits[k], r.status,
                        list("out"), r.err);
        }
    }
}

/* ---- ids ---- */

static void write_ids(const char *file, const char *dtype, const char *shape, const int64_t *ids, int n) {
    static Buf b;
    const char *json =
        arena_printf(arena, "{\"input_ids\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%d]}}", dtype,
                     shape, 8 * n);
    b.n = 0;
    put_le(&b, strlen(json), 8);
    put_text(&b, json);
    for (int i = 0; i < n; i++) put_le(&b, (uint64_t)ids[i], 8);
    write_bytes(file, b.p, b.n);
}

static void check_ids(void) {
    fresh_copy("hf-llama"); /* 67 ids */
    write_ids("m/ids", "I64", "[1,3]", (int64_t[]){1, 67, 2}, 3);
    CHECK(rename("m/ids", "big.safetensors") == 0);
    write_ids("negative.safetensors", "I64", "[1,3]", (int64_t[]){1, 2, -1}, 3);
    write_ids("flat.safetensors", "I64", "[3]", (int64_t[]){1, 2, 3}, 3);
    write_ids("float.safetensors", "F64", "[1,3]", (int64_t[]){0, 0x7ff8000000000000, 0}, 3); /* 0, NaN, 0 */
    static const char *const forms[] = {"interpret", "step", "chunk"};
    for (int i = 0; i < 3; i++) {
        refuse(arena_printf(arena, "an id beyond the vocabulary, %s", forms[i]),
               arena_printf(arena, "verify m --form=%s --input=big.safetensors", forms[i]), 1,
               "big.safetensors: error: input_ids: ", "id 67");
        refuse(arena_printf(arena, "a negative id, %s", forms[i]),
               arena_printf(arena, "verify m --form=%s --input=negative.safetensors", forms[i]), 1,
               "negative.safetensors: error: input_ids: ", "id -1");
    }
    refuse("ids without a batch", "verify m --form=interpret --input=flat.safetensors", 1,
           "flat.safetensors: error: input_ids: ", "[batch, tokens]");
    refuse("ids that are NaN", "verify m --form=interpret --input=float.safetensors", 1,
           "float.safetensors: error: ", NULL);
    refuse("no ids", "verify m --input=m/model.safetensors", 1, "m/model.safetensors: error: ", "input_ids");
    refuse("ids that are not there", "verify m --input=nothing.safetensors", 1,
           "nothing.safetensors: error: ", NULL);
}

/* ---- compiled programs ---- */

static void refuse_program(const char *title, const char *args, const char *what) {
    Ran r = run_limited(0, arena_printf(arena, "exec ./p %s", args));
    bool ok = CHECK(r.status > 0 && r.status < 126);
    ok &= CHECK(!*r.out && count_lines(r.err, "") == 1 && !strncmp(r.err, "p: error: ", 10) &&
                strstr(r.err, what));
    if (!ok) fprintf(stderr, "    %s: ./p %s: status %d\n%s%s\n", title, args, r.status, r.out, r.err);
    golden_check(title, arena_printf(arena, "... -o p; ./p %s", args), r.err);
}

static void check_program(void) {
    fresh_copy("hf-llama");
    CHECK(run_btc("m -o p --quiet").status == 0);
    refuse_program("an id beyond the vocabulary", "--ids=99999 --tokens=1", "(0 to 66)");
    refuse_program("an id just beyond the vocabulary", "--ids=1,67 --tokens=1", "(0 to 66)");
    refuse_program("a negative id", "--ids=-1 --tokens=1", "-1");
    refuse_program("an id that is no number", "--ids=1,x --tokens=1", "x");
    refuse_program("an id beyond all", "--ids=99999999999999999999 --tokens=1", "9999");
    refuse_program("no ids", "--ids= --tokens=1", "ids");
    refuse_program("text for a model of ids", "hello", "--ids=1,2,3");
}

/* ---- signals ---- */

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Starts a compilation, ends it after a while; later and later, until one is faster than the signal. */
static void check_signal(int number, const char *args) {
    int stopped = 0;
    for (long ms = 2; ms < 4000; ms += ms / 2 + 3) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            int null = open("/dev/null", O_RDWR);
            dup2(null, 0), dup2(null, 1), dup2(null, 2);
            execl("/bin/sh", "sh", "-c", arena_printf(arena, "exec '%s' %s", btc, args), (char *)NULL);
            _exit(127);
        }
        pause_ms(ms);
        int status = 0;
        kill(pid, number);
        CHECK(waitpid(pid, &status, 0) == pid);
        bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        stopped += WIFSIGNALED(status);
        const char *left = list("out");
        bool ok = CHECK(done || (WIFSIGNALED(status) && WTERMSIG(status) == number));
        ok &= CHECK(!strstr(left, ".tmp-"));
        if (!ok)
            fprintf(stderr, "    signal %d after %ld ms: status %#x, out/: %s\n", number, ms,
                    (unsigned)status, left);
        remove_folder("out");
        CHECK(mkdir("out", 0777) == 0);
        if (done) break;
    }
    CHECK(stopped > 0);
}

/* Whoever ignores a signal, as nohup does, is not ended by it. */
static void check_ignored(void) {
    Ran r = run_limited(
        0, arena_printf(arena, "trap '' INT; '%s' m -o out/x.so --quiet & p=$!; kill -INT $p; wait $p", btc));
    CHECK(r.status == 0);
    CHECK(!strcmp(list("out"), "x.so "));
}

static void check_signals(void) {
    fresh_copy("hf-llama");
    check_signal(SIGINT, "m -o out/x.so --quiet");
    check_signal(SIGTERM, "m -o out/x --quiet --weights=file");
    check_signal(SIGHUP, "m -o out/x.a --quiet");
    check_ignored();
}

int main(int argc, char **argv) {
    if (!kit_begin(argc, argv)) return 2;
    if (have_case("hf-llama")) {
        golden_begin("options");
        check_options();
        golden_end();
        golden_begin("outputs");
        check_places();
        golden_end();
        check_full_disk();
        golden_begin("ids");
        check_ids();
        check_program();
        golden_end();
        check_signals();
    }
    return kit_end("refused");
}
