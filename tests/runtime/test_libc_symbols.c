/* What the runtime takes from outside: libc_symbols.def lists all that its objects ask for, and nothing that
 * none asks for; the library part asks for no allocator, no stdio and no way to end the process.
 *
 * BTC_RUNTIME_OBJECTS: the folder with one folder of object files per architecture. */
#include <stdlib.h>
#include <unistd.h>

#include "tools/check.h"

typedef struct Row {
    const char *name, *user;
    bool seen;
} Row;

static Row rows[] = {
#define SYMBOL(library, name, kind, user) {#name, #user, false},
#include "runtime/libc_symbols.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

static char defined[1 << 16]; /* by the objects of one target: a line each */

static void read_defined(const char *folder) {
    char command[4096];
    snprintf(command, sizeof command, "echo; nm --defined-only --format=just-symbols %s/*.o", folder);
    FILE *p = popen(command, "r");
    size_t n = p ? fread(defined, 1, sizeof defined - 1, p) : 0;
    defined[n] = 0;
    CHECK(p && pclose(p) == 0 && n < sizeof defined - 1);
}

static bool defined_within(const char *name) {
    char line[300];
    snprintf(line, sizeof line, "\n%s\n", name);
    return strstr(defined, line) != NULL;
}

static void check_object(const char *folder, const char *object, bool program) {
    char command[4096], name[256];
    snprintf(command, sizeof command, "nm -u --format=just-symbols %s/%s.o", folder, object);
    FILE *p = popen(command, "r");
    while (p && fgets(name, sizeof name, p)) {
        name[strcspn(name, "\n")] = 0;
        Row *found = NULL;
        for (int i = 0; i < ROWS; i++)
            if (strcmp(rows[i].name, name) == 0) found = &rows[i];
        if (found) {
            found->seen = true;
            if (!CHECK(program || strcmp(found->user, "library") == 0))
                fprintf(stderr, "    %s in %s.o\n", name, object);
        } else if (strncmp(name, "btc_entry_", 10) != 0 && strcmp(name, "btc_artifact_data") != 0 &&
                   strcmp(name, "_GLOBAL_OFFSET_TABLE_") != 0 && !defined_within(name)) {
            CHECK(found); /* not in libc_symbols.def */
            fprintf(stderr, "    %s in %s.o\n", name, object);
        }
    }
    CHECK(p && pclose(p) == 0);
}

int main(void) {
    static const char *const archs[] = {"x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu"};
    static const char *const library[] = {
        "core",    "state",       "open", "beside", "query", "barrier", "parallel_omp", "parallel_serial",
        "threads", "run_threads", "work", "cpu",    "pace"};
    static const char *const program[] = {"program", "options",    "generate", "stream", "dump",
                                          "sample",  "processors", "meter",    "start"};
    int checked = 0;
    for (int i = 0; i < 3; i++) {
        char folder[2048];
        snprintf(folder, sizeof folder, "%s/%s", BTC_RUNTIME_OBJECTS, archs[i]);
        if (access(folder, F_OK) != 0) {
            printf("libc symbols: %s: skipped (this build has no runtime for it)\n", archs[i]);
            continue;
        }
        checked++;
        read_defined(folder);
        for (size_t k = 0; k < sizeof library / sizeof *library; k++) check_object(folder, library[k], false);
        for (size_t k = 0; k < sizeof program / sizeof *program; k++) check_object(folder, program[k], true);
    }
    CHECK(checked > 0);
    for (int i = 0; i < ROWS && checked == 3; i++) /* some are for one machine alone */
        if (!CHECK(rows[i].seen || strcmp(rows[i].user, "emitted") == 0))
            fprintf(stderr, "    nothing asks for %s\n", rows[i].name);
    return check_report("libc symbols");
}
