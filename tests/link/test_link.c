/* Linking a made-up model (tests/runtime/fake_model.c, compiled by gcc in place of LLVM) into every kind of
 * artefact, and running it: .so, .a, .o, program, header, weights beside it, for the host and under QEMU.
 *
 * BTC_SOURCE_DIR: the project. BTC_TEST_BIG=1 in the environment adds 3 GiB of weights. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kit.h"

/* What host.c prints for the model. */
static char *expected(const char *name) {
    double sum = 0;
    float h[FAKE_WIDTH] = {1};
    for (int t = 0; t < 20; t++)
        for (int i = 0; i < FAKE_WIDTH; i++)
            h[i] = h[i] * 0.5f + fake_weight((int64_t)(t * 7 % FAKE_WIDTH) * FAKE_WIDTH + i);
    for (int i = 0; i < FAKE_WIDTH; i++) sum += h[i] + h[(i + 1) % FAKE_WIDTH] * 0.25f + 19.0f;
    return arena_printf(arena, "%s %.9g\n", name, sum);
}

static int files_like(const char *part) {
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void check_kinds(void) {
    static const struct {
        const char *name;
        bool known;
        LinkKind kind;
    } rows[] = {{"a.so", true, LINK_SHARED},   {"x/a.a", true, LINK_ARCHIVE}, {"a.o", true, LINK_OBJECT},
                {"a.b/c", true, LINK_PROGRAM}, {"m.h", true, LINK_HEADER},    {"a.exe", false, LINK_PROGRAM},
                {"a/b.", false, LINK_PROGRAM}, {"a/", false, LINK_PROGRAM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LinkKind kind;
        bool known = link_kind(rows[i].name, &kind);
        CHECK(known == rows[i].known && (!known || kind == rows[i].kind));
    }
}

static void check_header(const char *const *object) {
    ArtifactSpec tiny = tiny_spec("tiny"), other = tiny_spec("other");
    CHECK(make(path("tiny.h"), "x86_64", object, &tiny));
    CHECK(make(path("other.h"), "x86_64", object, &other));
    char *text = file_read_text(&diag, arena, path("tiny.h"), NULL);
    CHECK_STR_CONTAINS(text, "#define TINY_VOCAB 256 ");
    CHECK_STR_CONTAINS(text, "const btc_api *tiny_btc_query(uint32_t version);");
    CHECK_STR_CONTAINS(text, "static inline int tiny_fits(const btc_api *api)");
    static const char *const names[] = {"int",  "class", "register", "NULL", "_x",
                                        "btcx", "m_btc", "main",     "linux"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) { /* words of C and C++ are no trouble */
        ArtifactSpec named = tiny_spec(names[i]);
        char *file = path(arena_printf(arena, "%s.h", names[i]));
        CHECK(make(file, "x86_64", object, &named));
        run("gcc -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -include tiny.h -I%s -x c %s", folder, file);
        run("g++ -Wall -Wextra -Werror -fsyntax-only -include tiny.h -I%s -x c++ %s 2>&1 || ! command -v g++",
            folder, file);
    }
    run("gcc -std=c11 -Wall -Wextra -Werror -fsyntax-only -x c %s", path("tiny.h"));
    run("gcc -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ %s 2>&1 || ! command -v g++",
        path("tiny.h"));
}

static void check_shared(const char *arch, const char *gcc, const char *runner, const char *const *object) {
    ArtifactSpec spec = tiny_spec("tiny");
    char *so = path(arena_printf(arena, "%s-tiny.so", arch)), *again = path("again.so");
    if (!CHECK(make(so, arch, object, &spec))) return;
    run("cp %s %s.first", so, so);
    CHECK(make(so, arch, object, &spec));
    run("cmp %s %s.first", so, so);
    (void)again;
    CHECK(strcmp(run("nm -D --defined-only --format=just-symbols %s", so), "btc_query\n") == 0);
    char *needed = run("readelf -d %s | grep NEEDED", so);
    CHECK_STR_CONTAINS(needed, "libc.so.6");
    CHECK_STR_CONTAINS(needed, "libgomp.so.1");
    CHECK(strstr(needed, "libm.so.6") == NULL);
    char *host = path(arena_printf(arena, "%s-host-so", arch));
    run("%s -std=gnu11 -Wall -Werror -DBY_DLOPEN -I%s " BTC_SOURCE_DIR "/tests/link/host.c -o %s -ldl", gcc,
        folder, host);
    CHECK(strcmp(run("%s %s %s", runner, host, so), expected("tiny")) == 0);

    /* what the runtime adds to the weights */
    int64_t size = atoll(run("cp %s %s && %s-strip %s && stat -c %%s %s", so, again,
                             strcmp(arch, "x86_64") == 0 ? "x86_64-linux-gnu" : arch, again, again));
    CHECK(size > FAKE_WEIGHTS_BYTES &&
          size < FAKE_WEIGHTS_BYTES + 64 * 1024 + (arch[0] == 'a' ? 3 * 65536 : 0));
    unlink(again);
}

static void check_objects(const char *arch, const char *gcc, const char *runner, const char *const *object) {
    ArtifactSpec tiny = tiny_spec("tiny"), other = tiny_spec("other");
    char *tiny_o = path("tiny.o"), *other_a = path("a_model_with_a_long_name.a"), *host = path("host-two");
    if (!CHECK(make(tiny_o, arch, object, &tiny)) || !CHECK(make(other_a, arch, object, &other))) return;
    CHECK_STR_CONTAINS(run("nm -g --defined-only %s", tiny_o), " tiny_btc_query");
    CHECK(strcmp(run("nm -g --defined-only --format=just-symbols %s", tiny_o), "tiny_btc_query\n") == 0);
    CHECK_STR_CONTAINS(run("nm -s %s", other_a), "other_btc_query in a_model_with_a_long_name.o");
    run("%s -std=c11 -Wall -Werror -DTWO_MODELS -I%s " BTC_SOURCE_DIR
        "/tests/link/host.c %s %s -o %s -fopenmp",
        gcc, folder, tiny_o, other_a, host);
    char *want = arena_printf(arena, "%s%s", expected("tiny"), expected("other"));
    CHECK(strcmp(run("%s %s", runner, host), want) == 0);
    /* static, and with lld */
    run("%s -std=c11 -static -I%s " BTC_SOURCE_DIR "/tests/link/host.c %s -o %s -fopenmp 2>&1", gcc, folder,
        tiny_o, host);
    CHECK(strcmp(run("%s %s", runner, host), expected("tiny")) == 0);
    run("cp %s %s.first", other_a, other_a);
    CHECK(make(other_a, arch, object, &other));
    run("cmp %s %s.first", other_a, other_a);
}

/* Damage inside is found by who reads everything anyway. */
static void check_contents(const char *host, const char *moved) {
    int status;
    for (int i = 0; i < 4; i++) {
        run("cd %s && cp good side.so.weights && printf '\\377' | dd of=side.so.weights bs=1 seek=%d "
            "conv=notrunc 2>&1",
            moved,
            i == 0   ? 64
            : i == 1 ? 64 + FAKE_WEIGHTS_BYTES / 2
            : i == 2 ? 63 + FAKE_WEIGHTS_BYTES
                     : 39);
        run("%s %s/renamed.so", host, moved);
        CHECK_STR_CONTAINS(shell(&status, "%s %s/renamed.so populate", host, moved),
                           "weights file is damaged");
        CHECK(status == 1);
    }
    run("cd %s && cp good side.so.weights", moved);
    CHECK(strcmp(run("%s %s/renamed.so populate", host, moved), expected("tiny")) == 0);
}

/* However the library or the program is named, its weights are found; and those of another beside the link do
 * not stand in the way. */
static void check_links(const char *const *object, const ArtifactSpec *spec) {
    char *real = path("real"), *links = path("links"), *host = path("x86_64-host-so"),
         *want = expected("tiny");
    mkdir(real, 0777), mkdir(links, 0777);
    char *so = arena_printf(arena, "%s/m.so", real), *program = arena_printf(arena, "%s/prog", real);
    if (!CHECK(make(so, "x86_64", object, spec)) || !CHECK(make(program, "x86_64", object, spec))) return;
    run("cd %s && ln -s ../real/m.so relative.so && ln -s %s absolute.so && ln -s relative.so chained.so &&"
        " ln -s links/chained.so ../far.so && ln -s ../real folder && ln -s dangling dangling && ln -s loop "
        "loop",
        links, so);
    static const char *const names[] = {"links/relative.so", "links/absolute.so",
                                        "links/chained.so",  "far.so",
                                        "links/folder/m.so", "links/folder/../links/chained.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(strcmp(run("%s %s", host, path(names[i])), want) == 0);
    CHECK(strcmp(run("cd %s && %s ./chained.so", links, host), want) == 0);
    CHECK(strcmp(run("cd %s && LD_LIBRARY_PATH=%s %s relative.so", real, links, host), want) == 0);
    CHECK(strcmp(run("cd %s && %s ./relative.so chdir", links, host), want) == 0); /* is now in / */

    ArtifactSpec other = *spec;
    other.weights_identity++;
    CHECK(make(arena_printf(arena, "%s/m.so", links), "x86_64", object, &other)); /* m.so.weights, too */
    CHECK(strcmp(run("%s %s/relative.so", host, links), want) == 0);
    run("cd %s && mv m.so.weights middle.weights && ln -s ../real/m.so middle && ln -s middle outer.so",
        links);
    CHECK(strcmp(run("%s %s/outer.so", host, links), want) == 0);
    run("cd %s && mv ../real/m.so.weights middle.weights", links); /* beside a link on the way */
    CHECK(strcmp(run("%s %s/outer.so", host, links), want) == 0);

    static const char usual[] = "--tokens=3 --quiet --temperature=0 abc";
    char *said = run("%s %s", program, usual);
    run("cd %s && ln -s ../real/prog p && ln -s p q", links);
    static const char *const ways[] = {"L/p", "L/q", "cd L && ./q", "cd / && PATH=L:$PATH q"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        CHECK(strcmp(run("%s %s", run("echo '%s' | sed 's,L,%s,' | tr -d '\\n'", ways[i], links), usual),
                     said) == 0);
    CHECK(strcmp(run("bash -c 'cd / && exec -a anything %s/q %s'", links, usual), said) == 0);
    run("mv %s/prog.weights %s/q.weights", real, links); /* beside the link that is started */
    CHECK(strcmp(run("cd / && PATH=%s:$PATH q %s", links, usual), said) == 0);
}

static void check_side_file(const char *const *object) {
    ArtifactSpec spec = tiny_spec("tiny");
    spec.weights_in_file = true;
    char *so = path("side.so"), *host = path("x86_64-host-so"), *moved = path("moved");
    if (!CHECK(make(so, "x86_64", object, &spec))) return;
    CHECK(strcmp(run("%s %s", host, so), expected("tiny")) == 0);
    CHECK(strcmp(run("cd %s && %s ./side.so", folder, host), expected("tiny")) == 0);
    mkdir(moved, 0777);
    run("mv %s %s.weights %s", so, so, moved); /* together, to another folder */
    CHECK(strcmp(run("%s %s/side.so", host, moved), expected("tiny")) == 0);
    run("mv %s/side.so %s/renamed.so", moved, moved); /* the library under another name */
    CHECK(strcmp(run("%s %s/renamed.so", host, moved), expected("tiny")) == 0);
    int status;
    run("cp %s/side.so.weights %s/good", moved, moved);
    static const char *const damage[][2] = {
        {"truncate -s -4 W", "it is cut off, or too long"},
        {"truncate -s +4 W", "it is cut off, or too long"},
        {"truncate -s 10 W", "it is cut off, or too long"},
        {"truncate -s 8G W", "it is cut off, or too long"},
        {"rm W", "is missing"},
        {"rm W && mkdir W", "cannot be read"},
        {"printf x | dd of=W conv=notrunc 2>&1", "is of another model"},
        {"printf '\\001' | dd of=W seek=16 bs=1 conv=notrunc 2>&1", "is of another model"},
        {"printf '\\001' | dd of=W seek=24 bs=1 conv=notrunc 2>&1", "is of another model"},
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        run("cd %s && W=side.so.weights && rm -rf $W && cp good $W && %s", moved,
            run("echo '%s' | sed 's/W/side.so.weights/g'", damage[i][0]));
        CHECK_STR_CONTAINS(shell(&status, "%s %s/renamed.so", host, moved), damage[i][1]);
        CHECK(status == 1);
    }
    run("cd %s && truncate -s 8G side.so.weights", moved); /* more than the process may map */
    CHECK_STR_CONTAINS(shell(&status, "ulimit -v 4000000; %s %s/renamed.so", host, moved), "too large for");
    run("cd %s && rm -rf side.so.weights && cp good side.so.weights", moved);
    run("cd %s && printf '\\001' | dd of=side.so.weights seek=8 bs=1 conv=notrunc 2>&1", moved);
    CHECK_STR_CONTAINS(shell(&status, "%s %s/renamed.so", host, moved), "incompatible version");
    check_contents(host, moved);

    check_links(object, &spec);
    char *p = path("side-program");
    if (!CHECK(make(p, "x86_64", object, &spec))) return;
    run("cd / && PATH=%s:$PATH side-program abc --tokens=3 --quiet", folder); /* argv[0] is a bare name */
    run("mv %s.weights %s/w", p, moved);
    CHECK_STR_CONTAINS(shell(&status, "%s abc 2>&1", p), "weights file is missing");
    CHECK_STR_CONTAINS(shell(&status, "%s abc 2>&1", p), ".weights: the weights file");
    CHECK_STR_CONTAINS(shell(&status, "%s abc 2>&1", p), "where --weights=FILE says");
    run("%s abc --weights=%s/w --tokens=3 --quiet", p, moved);
}

/* No name of a folder or a file means anything to anybody on the way. */
static void check_paths(const char *const *object) {
    static const char *const names[] = {"a%20b",  "100%",      "%s%n",     "with space", "it's",
                                        "do$lar", "new\nline", "@at",      "-dash",      "b\\s",
                                        "semi;&", "*?[]",      "\xff\xfe", "btc"};
    ArtifactSpec spec = tiny_spec("tiny");
    spec.weights_in_file = true;
    char *host = path("x86_64-host-so"), here[4096];
    if (!CHECK(getcwd(here, sizeof here) && chdir(folder) == 0)) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *so = arena_printf(arena, "%s/%s.so", names[i], names[i]),
                   *so_here = arena_printf(arena, "%s.so", names[i]);
        mkdir(names[i], 0777);
        if (!CHECK(make(so, "x86_64", object, &spec)) || !CHECK(make(so_here, "x86_64", object, &spec)))
            continue;
        const char *argv[] = {host, arena_printf(arena, "./%s", so), NULL};
        char *said;
        CHECK(spawn_and_wait(arena, NULL, argv, &said) == 0 && !strcmp(said, expected("tiny")));
    }
    char long_name[256] = "./"; /* as long as a name may be */
    memset(long_name + 2, 'x', 250);
    spec.weights_in_file = false;
    CHECK(make(long_name, "x86_64", object, &spec) && access(long_name, X_OK) == 0);
    CHECK(chdir(here) == 0 && files_like(".tmp") == 0);
}

static void check_failures(const char *const *object) {
    ArtifactSpec spec = tiny_spec("tiny");
    int before = files_like("");
    LinkJob job = {
        .output = path("bad.so"), .kind = LINK_SHARED, .target = machine("x86_64"), .objects = object};
    job.object_count = 1, job.spec = &spec, job.threads = true;
#define FAILS(text)                                                                                          \
    do {                                                                                                     \
        int errors = diag.errors;                                                                            \
        diag.log = text_new(arena);                                                                          \
        CHECK(!link_artifact(&diag, &job) && diag.errors == errors + 1);                                     \
        CHECK_STR_CONTAINS(diag.log.s, text);                                                                \
        diag.errors = 0;                                                                                     \
    } while (0)
    job.linker = "no-such-linker";
    FAILS("no-such-linker");
    job.linker = NULL, job.target = machine("nvptx64");
    FAILS("cannot link for nvptx64");
    job.target = machine("x86_64"), spec.step = "not_there";
    FAILS("not_there");
    spec.step = NULL, job.output = "/nonexistent/bad.so";
    FAILS("cannot write: No such file");
    job.output = path("a-folder");
    mkdir(job.output, 0777), before++;
    FAILS("cannot write");
    spec.weights_in_file = true;
    FAILS("cannot write");
    spec.weights_in_file = false, job.output = path("bad.so");

    /* a full disk: no file may grow beyond the limit, also not lld's */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old, small.rlim_cur = 200000;
    setrlimit(RLIMIT_FSIZE, &small);
    FAILS("bad.so");
    small.rlim_cur = FAKE_WEIGHTS_BYTES + 8192; /* enough for the data object, not for the result */
    setrlimit(RLIMIT_FSIZE, &small);
    for (job.kind = LINK_SHARED; job.kind <= LINK_PROGRAM; job.kind++) FAILS("bad.so");
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(files_like("") == before && files_like("bad") == 0 && files_like(".tmp") == 0);
}

/* Weights beyond 2 GiB, as a hole in the output. */
static bool write_hole(void *user, OutFile *o, int64_t at, btc_checksum *sum) {
    (void)sum; /* embedded */
    return out_write_at(o, at + *(int64_t *)user - 4, "\0\0\200\077", 4);
}

static void check_big(const char *const *object) {
    if (!getenv("BTC_TEST_BIG")) {
        printf("link: 3 GiB of weights: skipped (BTC_TEST_BIG=1 asks for it)\n");
        return;
    }
    int64_t bytes = 3LL << 30;
    ArtifactSpec spec = tiny_spec("tiny");
    spec.info.weights_bytes = bytes, spec.write_weights = write_hole, spec.weights_user = &bytes;
    char *so = path("big.so");
    if (CHECK(make(so, "x86_64", object, &spec)))
        CHECK_STR_CONTAINS(run("%s %s", path("x86_64-host-so"), so), "tiny ");
    unlink(so);
    char *o = path("big.o");
    if (CHECK(make(o, "x86_64", object, &spec))) {
        run("gcc -std=c11 -I%s " BTC_SOURCE_DIR "/tests/link/host.c %s -o %s -fopenmp", folder, o,
            path("big"));
        CHECK_STR_CONTAINS(run("%s", path("big")), "tiny ");
    }
    unlink(o), unlink(path("big"));
}

static void check_emulated(const Target *t) {
    const char *runner = runner_of("link", t), *gcc = arena_printf(arena, "%s-gcc", t->name);
    if (!runner) return;
    const char *object[] = {fake_object(gcc)};
    check_shared(t->name, gcc, runner, object);
    check_objects(t->name, gcc, runner, object);
}

int main(void) {
    if (!kit_open()) return 1;
    const char *object[] = {fake_object("gcc")};
    check_kinds();
    check_header(object);
    check_shared("x86_64", "gcc", "", object);
    check_objects("x86_64", "gcc", "", object);
    check_side_file(object);
    check_paths(object);
    CHECK(diag.errors == 0);
    diag.out = NULL;
    check_failures(object);
    diag.out = stderr;
    check_big(object);
    check_emulated(&target_aarch64);
    check_emulated(&target_riscv64);
    kit_close();
    return check_report("link");
}
