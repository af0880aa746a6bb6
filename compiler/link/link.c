#include "link.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime_blob.h"
#include "stub_library.h"

/* One link under way. */
typedef struct Link {
    Diag *d;
    Arena *a;
    const LinkJob *job;
    uint16_t machine;
    LinkFolder folder;
    const char **args;
    int nargs, args_cap;
    const char *made; /* lld's output in the folder */
} Link;

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool link_kind(const char *output, LinkKind *kind) {
    static const struct {
        const char *suffix;
        LinkKind kind;
    } known[] = {{".so", LINK_SHARED}, {".a", LINK_ARCHIVE}, {".o", LINK_OBJECT}, {".h", LINK_HEADER}};
    const char *dot = strrchr(base_name(output), '.');
    if (!dot) {
        *kind = LINK_PROGRAM;
        return *base_name(output) != 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(dot, known[i].suffix) == 0) {
            *kind = known[i].kind;
            return true;
        }
    }
    return false;
}

/* The linker runs in the folder and its own files have plain names there: to it a % in the name of its output
 * is a random digit, an @ in front of an input a file with options, a dash an option. */
static void add(Link *l, const char *arg) {
    ARENA_PUSH(l->a, l->args, l->nargs, l->args_cap, arg);
}

static const char *in_folder(const Link *l, const char *name) {
    return arena_printf(l->a, "%s/%s", l->folder.path, name);
}

static bool write_file(Link *l, const char *file, const void *data, size_t size) {
    OutFile o;
    if (!out_open(l->d, l->a, file, &o)) return false;
    if (out_write(&o, data, size)) return out_commit(&o, false);
    out_abandon(&o);
    return false;
}

static bool add_runtime(Link *l) {
    for (const RuntimeBlob *b = runtime_blobs; b->arch; b++) {
        if (!runtime_needs(b, l->job->target, l->job->threads, l->job->kind == LINK_PROGRAM)) continue;
        const char *file = arena_printf(l->a, "runtime_%s.o", b->object.name);
        if (!write_file(l, in_folder(l, file), b->object.data, b->object.size)) return false;
        add(l, file);
    }
    return true;
}

/* All inputs: emitted code, the artefact's data, the runtime. */
static bool add_inputs(Link *l) {
    const LinkJob *j = l->job;
    for (int i = 0; i < j->object_count; i++) {
        char path[PATH_MAX];
        if (!realpath(j->objects[i], path))
            return diag_error(l->d, (Loc){.file = j->objects[i]}, "cannot open: %s", strerror(errno));
        add(l, arena_strdup(l->a, path));
    }
    const char *side = NULL, *data = "artifact.o";
    if (j->spec->weights_in_file) side = arena_printf(l->a, "%s.weights", base_name(j->output));
    if (!artifact_object(l->d, l->a, j->spec, j->target, side, in_folder(l, data))) return false;
    add(l, data);
    return add_runtime(l);
}

static bool add_libraries(Link *l) {
    const char **stubs;
    int n;
    if (!stub_libraries(l->d, l->a, l->folder.path, l->machine, &stubs, &n)) return false;
    add(l, "--as-needed");
    for (int i = 0; i < n; i++) add(l, base_name(stubs[i]));
    return true;
}

static bool add_shared_options(Link *l) {
    Text script = text_new(l->a);
    text_add(&script, "{ global: btc_query;");
    for (int i = 0; i < l->job->export_count; i++) text_add(&script, " %s;", l->job->exports[i]);
    text_add(&script, " local: *; };\n");
    const char *file = "exports";
    if (!write_file(l, in_folder(l, file), script.s, script.n)) return false;
    add(l, "-shared");
    add(l, arena_printf(l->a, "--version-script=%s", file));
    return true;
}

static void add_program_options(Link *l) {
    add(l, "-pie");
    add(l, l->machine == EM_X86_64 ? "--dynamic-linker=/lib64/ld-linux-x86-64.so.2"
                                   : "--dynamic-linker=/lib/ld-linux-aarch64.so.1");
}

/* lld's first error without its name, whatever stands around it, or its first line. */
static const char *clean_message(Arena *a, const char *said) {
    static const char mark[] = ": error: ";
    const char *at = strstr(said, mark), *from = at ? at + sizeof mark - 1 : said;
    return *from ? arena_strndup(a, from, strcspn(from, "\n")) : "it said nothing";
}

static bool run_linker(Link *l) {
    static const char *const names[] = {"ld.lld-19", "ld.lld"};
    int count = l->job->linker ? 1 : (int)(sizeof names / sizeof *names), status = -1;
    Loc loc = {.file = l->job->output};
    char *said = "";
    add(l, NULL); /* the end */
    for (int i = 0; i < count; i++) {
        l->args[0] = l->job->linker ? l->job->linker : names[i];
        status = spawn_and_wait(l->a, l->folder.path, l->args, &said);
        if (status != -1 || errno != ENOENT) break;
    }
    if (status == 0) return true;
    if (status == -1 && errno == ENOENT)
        return diag_error(l->d, loc, "cannot link: there is no %s on PATH (it comes with LLVM's lld 19)",
                          l->job->linker ? l->job->linker : "ld.lld-19 or ld.lld");
    if (status == -1) return diag_error(l->d, loc, "cannot start %s: %s", l->args[0], strerror(errno));
    if (status == -2) return diag_error(l->d, loc, "the linker was killed; is the disk or the memory full?");
    return diag_error(l->d, loc, "the linker failed: %s", clean_message(l->a, said));
}

/* lld's output in the folder, from all inputs. */
static bool link_inputs(Link *l) {
    LinkKind kind = l->job->kind;
    l->made = in_folder(l, "made");
    add(l, NULL); /* the linker's name comes here */
    add(l, "-o");
    add(l, base_name(l->made));
    add(l, "--threads=1"); /* little work, and the system may have no more */
    if (kind == LINK_OBJECT || kind == LINK_ARCHIVE) {
        add(l, "-r");
        return add_inputs(l) && run_linker(l);
    }
    static const char *const common[] = {"--gc-sections", "--build-id=none", "--hash-style=gnu",
                                         "-znow",         "-znoexecstack",   "-zdefs"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) add(l, common[i]);
    if (kind == LINK_SHARED && !add_shared_options(l)) return false;
    if (kind == LINK_PROGRAM) add_program_options(l);
    return add_inputs(l) && add_libraries(l) && run_linker(l);
}

static bool write_archive(Link *l, const ElfFill *made, const char *symbol, OutFile *o) {
    const char *base = base_name(l->job->output), *dot = strrchr(base, '.');
    const char *member = arena_printf(l->a, "%.*s.o", (int)(dot ? dot - base : (long)strlen(base)), base);
    return ar_archive(l->a, made, l->job->spec, member, symbol, o);
}

/* What the linker has made, with its weights, under a temporary name. */
static bool write_output(Link *l, OutFile *o) {
    LinkKind kind = l->job->kind;
    const char *symbol = arena_printf(l->a, "%s_btc_query", l->job->spec->info.name);
    if ((kind == LINK_OBJECT || kind == LINK_ARCHIVE) &&
        !elf_localise(l->d, l->a, l->made, "btc_query", symbol))
        return false;
    ElfFill made;
    if (!elf_fill_open(l->d, l->a, l->made, &made)) return false;
    return kind == LINK_ARCHIVE ? write_archive(l, &made, symbol, o)
                                : elf_fill_write(&made, l->job->spec, o, 0);
}

/* Nothing has its final name before all of it is made; the side file gets it first. */
static bool finish(Link *l, OutFile *side) {
    OutFile o;
    if (!out_open(l->d, l->a, l->job->output, &o)) return false;
    if (write_output(l, &o) && (!side || out_commit(side, false))) {
        if (out_commit(&o, l->job->kind == LINK_SHARED || l->job->kind == LINK_PROGRAM)) return true;
        if (side) unlink(side->name); /* weights without their model are of no use */
        return false;
    }
    out_abandon(&o);
    return false;
}

static bool link_in_folder(Link *l) {
    if (!link_inputs(l)) return false;
    const ArtifactSpec *spec = l->job->spec;
    if (!spec->weights_in_file || spec->info.weights_bytes == 0) return finish(l, NULL);
    const char *file = spec->weights_file;
    if (file && file_exists(file)) return finish(l, NULL);
    OutFile side;
    if (!file) file = arena_printf(l->a, "%s.weights", l->job->output);
    if (!out_open(l->d, l->a, file, &side)) return false;
    if (artifact_weights_file(spec, &side) && finish(l, &side)) return true;
    out_abandon(&side); /* after a commit there is nothing left to abandon */
    return false;
}

bool link_artifact(Diag *d, const LinkJob *job) {
    if (job->kind == LINK_HEADER) return artifact_header(d, d->arena, job->spec, job->output);
    Loc loc = {.file = job->output};
    Link l = {.d = d, .a = d->arena, .job = job, .machine = elf_machine(job->target)};
    if (!l.machine || !runtime_is_there(job->target)) {
        char list[128];
        runtime_targets(list, sizeof list);
        return diag_error(d, loc, "cannot link for %s: this btc has a runtime for %s", job->target, list);
    }
    if (!link_folder_open(d, l.a, job->output, &l.folder)) return false;
    bool ok = link_in_folder(&l);
    link_folder_remove(&l.folder);
    return ok;
}
