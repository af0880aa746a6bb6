/* After a failed link a process goes on: the model that failed says so when it is compiled again, and opened again it
 * compiles; a session that failed fails again, with one message.
 *     test_failed [CONFORMANCE [BTC]] */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "compiled.h"
#include "run/session.h"

static Arena *arena;

/* A folder with a linker that fails, as the only one on the path. */
static const char *failing_linker(void) {
    const char *folder =
        arena_printf(arena, "%s/btc-failed-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp((char *)folder)) abort();
    for (int i = 0; i < 2; i++) {
        const char *file = arena_printf(arena, "%s/%s", folder, i ? "ld.lld" : "ld.lld-19");
        FILE *f = fopen(file, "w");
        if (!f || fputs("#!/bin/sh\nexit 1\n", f) < 0 || fclose(f) || chmod(file, 0700)) abort();
    }
    return folder;
}

static void remove_linker(const char *folder) {
    unlink(arena_printf(arena, "%s/ld.lld", folder));
    unlink(arena_printf(arena, "%s/ld.lld-19", folder));
    rmdir(folder);
}

static bool compiles(Model *m, const char **why) {
    FILE *messages = tmpfile();
    Diag d = diag_new(arena, messages);
    Loaded l;
    CompileOptions o = {0};
    bool ok = loaded_open(&d, arena, m, o, &l);
    loaded_close(&l);
    char *text = arena_alloc(arena, 4096);
    rewind(messages);
    text[fread(text, 1, 4095, messages)] = 0;
    fclose(messages);
    *why = text;
    return ok;
}

static void check_model(const char *path, const char *folder, const char *tools) {
    Diag d = diag_new(arena, stderr);
    ModelOptions o = {0};
    Model m = {0}, again = {0};
    const char *why;
    setenv("PATH", folder, 1);
    CHECK(model_open(&d, arena, path, &o, &m));
    CHECK(!compiles(&m, &why)), CHECK_STR_CONTAINS(why, "the linker failed");
    CHECK(!compiles(&m, &why)), CHECK_STR_CONTAINS(why, "open it again");
    setenv("PATH", tools, 1);
    CHECK(model_open(&d, arena, path, &o, &again));
    CHECK(compiles(&again, &why));
    CHECK(!compiles(&again, &why)), CHECK_STR_CONTAINS(why, "open it again");
    model_close(&m), model_close(&again);
}

static void check_session(const char *path, const char *folder, const char *tools) {
    FILE *messages = tmpfile();
    Diag d = diag_new(arena, messages);
    VerifyOptions o = {.form = "chunk", .threads = 1};
    Session s;
    setenv("PATH", folder, 1);
    CHECK(session_open(&s, &d, arena, path, &o, PROBES_NONE));
    CHECK(!session_compile(&s) && d.errors == 1);
    CHECK(!session_compile(&s) && d.errors == 1);
    session_close(&s);
    fclose(messages);
    setenv("PATH", tools, 1);
}

int main(int argc, char **argv) {
    arena = arena_new();
    const char *path = arena_printf(arena, "%s/hf-mamba", argc > 1 ? argv[1] : "tests/conformance");
    const char *tools = arena_strdup(arena, getenv("PATH")), *folder = failing_linker();
    check_model(path, folder, tools);
    check_session(path, folder, tools);
    remove_linker(folder);
    arena_free(arena);
    return check_report("failed");
}
