#include "link.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime_blob.h"

/* One link under way. */
typedef struct Link {
    Diag *d;
    Arena *a;
    const LinkJob *job;
    const Target *target;
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

static bool add_blob(Link *l, const RuntimeBlob *b) {
    const char *file =
        arena_printf(l->a, "runtime_%s%s", b->object.name, b->kind == RUNTIME_OBJECT ? ".o" : "");
    if (!write_file(l, in_folder(l, file), b->object.data, b->object.size)) return false;
    return add(l, file), true;
}

static bool add_runtime(Link *l) {
    RuntimeParts parts = {l->job->threads, l->job->kind == LINK_PROGRAM, !l->job->target->doubles};
    for (const RuntimeBlob *b = runtime_blobs; b->target; b++)
        if (runtime_needs(b, l->target->name, parts) && !add_blob(l, b)) return false;
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

/* Libraries without contents, for their names: runtime/stub.c. */
static bool add_libraries(Link *l) {
    add(l, "--as-needed");
    for (const RuntimeBlob *b = runtime_blobs; b->target; b++)
        if (b->kind == RUNTIME_LIBRARY && !strcmp(b->target, l->target->name) && !add_blob(l, b))
            return false;
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

/* A file of the runtime that is not linked but says how to. */
static bool add_script(Link *l, const char *name) {
    for (const RuntimeBlob *b = runtime_blobs; b->target; b++) {
        if (strcmp(b->target, l->target->name) || strcmp(b->object.name, name)) continue;
        add(l, arena_printf(l->a, "--script=%s", name));
        return write_file(l, in_folder(l, name), b->object.data, b->object.size);
    }
    BTC_BUG("no script %s in the runtime for %s", name, l->target->name);
}

static bool add_program_options(Link *l) {
    const Target *t = l->target;
    if (t->loader) {
        add(l, "-pie");
        add(l, arena_printf(l->a, "--dynamic-linker=%s", t->loader));
        return true;
    }
    add(l, "-static");
    const Board *board = t->isa->board ? t->isa->board(l->job->target) : NULL;
    if (!t->isa->board) return true;
    if (!board)
        return diag_error(l->d, (Loc){.file = l->job->output},
                          "there is no board to make a program of %s for; make a .o or a .a for a firmware",
                          l->job->target->cpu);
    return add_script(l, board->script) && add_script(l, "bare.ld");
}

/* A tool's first error without its name, whatever stands around it, or its first line. */
static const char *clean_message(Arena *a, const char *said) {
    static const char mark[] = "error: ";
    const char *at = strstr(said, mark), *from = at ? at + sizeof mark - 1 : said;
    return *from ? arena_strndup(a, from, strcspn(from, "\n")) : "it said nothing";
}

/* A program of LLVM, by the first of two names that is there. */
typedef struct Tool {
    const char *what, *name, *short_name, *package;
} Tool;
static const Tool LINKER = {"the linker", "ld.lld-19", "ld.lld", "lld"},
                  OBJCOPY = {"llvm-objcopy", "llvm-objcopy-19", "llvm-objcopy", "the tools of LLVM"},
                  AR = {"llvm-ar", "llvm-ar-19", "llvm-ar", "the tools of LLVM"};

/* args: the first is for the tool's name; the last is NULL. */
static bool run_tool(Link *l, Tool t, const char **args) {
    Loc loc = {.file = l->job->output};
    char *said = "";
    args[0] = t.name;
    int status = spawn_and_wait(l->a, l->folder.path, args, &said);
    if (status == -1 && errno == ENOENT && t.short_name) {
        args[0] = t.short_name;
        status = spawn_and_wait(l->a, l->folder.path, args, &said);
    }
    if (status == 0) return true;
    if (status == -1 && errno == ENOENT)
        return diag_error(l->d, loc, "cannot link: there is no %s%s%s on PATH (it comes with LLVM 19, in %s)",
                          t.name, t.short_name ? " or " : "", t.short_name ? t.short_name : "", t.package);
    if (status == -1) return diag_error(l->d, loc, "cannot start %s: %s", args[0], strerror(errno));
    if (status == -2) return diag_error(l->d, loc, "%s was killed; is the disk or the memory full?", t.what);
    return diag_error(l->d, loc, "%s failed: %s", t.what, clean_message(l->a, said));
}

static bool run_linker(Link *l) {
    Tool t = LINKER;
    if (l->job->linker) t.name = l->job->linker, t.short_name = NULL;
    add(l, NULL); /* the end */
    return run_tool(l, t, l->args);
}

/* Hidden symbols of an object are global to the linker: two artefacts in one program would clash on them. So
 * all become local but the query, which gets the model's name. */
static bool hide_symbols(Link *l, const char *member) {
    const char *to = arena_printf(l->a, "btc_query=%s_btc_query", l->job->spec->info.name);
    const char *args[] = {NULL,
                          "--keep-global-symbol=btc_query",
                          "--redefine-sym",
                          to,
                          "--remove-section=.llvm_addrsig",
                          base_name(l->made),
                          arena_printf(l->a, "./%s", member),
                          NULL};
    l->made = in_folder(l, member);
    return run_tool(l, OBJCOPY, args);
}

/* Dates and owners are zero (D), so that the same input gives the same bytes. */
static bool make_archive(Link *l) {
    const char *member = arena_printf(l->a, "./%s", base_name(l->made));
    const char *args[] = {NULL, "rcsD", "archive", member, NULL};
    l->made = in_folder(l, "archive");
    return run_tool(l, AR, args);
}

/* What is linked with others later: one object, perhaps in an archive. */
static bool make_object(Link *l) {
    const char *base = base_name(l->job->output), *dot = strrchr(base, '.');
    const char *member = arena_printf(l->a, "%.*s.o", (int)(dot ? dot - base : (long)strlen(base)), base);
    add(l, "-r");
    return add_inputs(l) && run_linker(l) && hide_symbols(l, member) &&
           (l->job->kind == LINK_OBJECT || make_archive(l));
}

/* lld's output in the folder, from all inputs. */
static bool link_inputs(Link *l) {
    LinkKind kind = l->job->kind;
    l->made = in_folder(l, "made");
    add(l, NULL); /* the linker's name comes here */
    add(l, "-o");
    add(l, base_name(l->made));
    add(l, "--threads=1"); /* little work, and the system may have no more */
    if (kind == LINK_OBJECT || kind == LINK_ARCHIVE) return make_object(l);
    static const char *const common[] = {"--gc-sections", "--build-id=none", "--hash-style=gnu",
                                         "-znow",         "-znoexecstack",   "-zdefs"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) add(l, common[i]);
    if (kind == LINK_SHARED && !add_shared_options(l)) return false;
    if (kind == LINK_PROGRAM && !add_program_options(l)) return false;
    return add_inputs(l) && add_libraries(l) && run_linker(l);
}

/* What was linked, with its weights, under a temporary name. */
static bool write_output(Link *l, OutFile *o) {
    ElfFill made;
    return elf_fill_open(l->d, l->a, l->made, l->target->weights, l->job->output, &made) &&
           elf_fill_write(&made, l->job->spec, o);
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
    Link l = {.d = d, .a = d->arena, .job = job, .target = job->target->target};
    if (!runtime_is_there(l.target->name))
        return diag_error(d, loc, "cannot link for %s: this btc has a runtime for %s", l.target->name,
                          runtime_targets(d->arena));
    if (!link_folder_open(d, l.a, job->output, &l.folder)) return false;
    bool ok = link_in_folder(&l);
    link_folder_remove(&l.folder);
    return ok;
}
