/* Chooses the importer of a checkpoint, and runs it. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "import/import.h"
#include "runtime/distance.h"

#define IMPORTER(id) &importer_##id,
const Importer *const IMPORTERS[] = {
#include "importers.def"
};
#undef IMPORTER
const int IMPORTER_COUNT = sizeof IMPORTERS / sizeof *IMPORTERS;

static bool equals(void *user, const char *word) {
    return strcasecmp(user, word) == 0;
}

static const Importer *find_by_name(Arena *a, const char *arch) {
    if (!arch || !*arch) return NULL;
    char *name = arena_strdup(a, arch);
    for (int i = 0; i < IMPORTER_COUNT; i++)
        if (equals(name, IMPORTERS[i]->name) || import_find_word(a, IMPORTERS[i]->accepts, equals, name))
            return IMPORTERS[i];
    return NULL;
}

/* A word that importers accept, and whether it is `name` with a slip of the pen: other signs between the
 * letters, or one letter off that is neither the first nor a digit, and nothing that another model is called.
 */
typedef struct Slip {
    Arena *a;
    const char *name, *found;
} Slip;

static bool same_digits(const char *x, const char *y) {
    for (;; x++, y++) {
        while (*x && !isdigit((unsigned char)*x)) x++;
        while (*y && !isdigit((unsigned char)*y)) y++;
        if (*x != *y || !*x) return *x == *y;
    }
}

static bool is_slip(void *user, const char *word) {
    Slip *s = user;
    const char *other = NULL;
    char *x = import_bare_name(s->a, s->name), *y = import_bare_name(s->a, word);
    bool near = strcmp(x, y) == 0;
    if (!near && *x == *y && same_digits(x, y) && strlen(y) > 3 && word_distance(x, y) == 1)
        near = import_find_other(s->a, s->name, &other) < 0 || strstr(y, other);
    if (near) s->found = word;
    return near;
}

static const char *did_you_mean(Arena *a, const char *arch) {
    Slip s = {a, arch, NULL};
    for (int i = 0; i < IMPORTER_COUNT && !s.found; i++)
        if (!is_slip(&s, IMPORTERS[i]->name)) import_find_word(a, IMPORTERS[i]->accepts, is_slip, &s);
    return s.found ? arena_printf(a, " (did you mean \"%s\"?)", s.found) : "";
}

static void no_importer(ImportCtx *x, const char *arch, bool given) {
    if (given) x->d->usage = true;
    import_error(x, "no importer for the architecture \"%s\"%s; `btc list architectures` lists what there is",
                 arch, did_you_mean(x->a, arch));
    import_way_out(x, arch);
}

static const char *text_of(const cJSON *n) {
    return cJSON_IsString(n) ? n->valuestring : NULL;
}

static const Importer *choose_importer(ImportCtx *x, const char *arch) {
    const cJSON *list = json_get(x->cfg.node, "architectures");
    const char *name = arch ? arch : text_of(cJSON_IsArray(list) ? list->child : list);
    if (!name) name = text_of(json_get(x->cfg.node, "model_type"));
    if (name) {
        const Importer *imp = find_by_name(x->a, name);
        if (!imp) no_importer(x, name, arch != NULL);
        return x->arch = name, imp;
    }
    for (int i = 0; i < IMPORTER_COUNT; i++)
        if (IMPORTERS[i]->recognise && IMPORTERS[i]->recognise(x))
            return x->arch = IMPORTERS[i]->name, IMPORTERS[i];
    import_error(x,
                 "%s, and the names of the tensors tell no architecture; give it with --arch=NAME (`btc list "
                 "architectures`)",
                 x->cfg.node ? "config.json has neither \"architectures\" nor \"model_type\""
                             : "there is no config.json beside the weights");
    import_way_out(x, "");
    return NULL;
}

/* ---- the whole import ---- */

/* ---- the way of a checkpoint ---- */

/* The object in a file; one that is not there leaves out->root NULL. */
static bool read_json(ImportCtx *x, const char *name, Json *out) {
    if (!file_exists(name)) return true;
    size_t size;
    const char *text = file_read_text(x->d, x->a, name, &size);
    if (!text || !json_parse(x->d, x->a, name, text, size, JSON_PYTHON, out)) return false;
    return cJSON_IsObject(out->root) || json_error(out, out->root, "", "must be an object");
}

/* The config.json of a folder, or beside a weights file. A file without one is fine (RWKV has none). */
static bool read_config(ImportCtx *x) {
    const char *folder = x->path, *slash = strrchr(x->path, '/');
    if (!file_is_folder(folder))
        folder = slash ? arena_printf(x->a, "%.*s", (int)(slash - x->path), x->path) : ".";
    const char *name = arena_printf(x->a, "%s/config.json", folder);
    if (!read_json(x, name, &x->json)) return false;
    if (!x->json.root) return true;
    x->cfg.node = x->json.root;
    return read_json(x, arena_printf(x->a, "%s/generation_config.json", folder), &x->generation);
}

static bool has_blocks(const WeightSet *w, const char *format) {
    for (int i = 0; i < w->n; i++)
        if (w->tensors[i].blocks && !strcmp(w->tensors[i].blocks->name, format)) return true;
    return false;
}

/* Checkpoints whose weights others have quantised: what their tensors mean is not known here. */
static bool is_plain(ImportCtx *x) {
    static const char *const keys[] = {"quantization_config", "compression_config", "quantization"};
    for (int i = 0; i < 3; i++) {
        const cJSON *n = json_get(x->cfg.node, keys[i]), *how = json_get(n, "quant_method");
        if (!n || cJSON_IsNull(n) || cJSON_IsFalse(n) || (cJSON_IsObject(n) && !n->child)) continue;
        if (cJSON_IsString(how) && !strcmp(how->valuestring, "mxfp4") && has_blocks(x->w, "mxfp4")) {
            cfg_skip(&x->cfg, keys[i]); /* read with the weights, which say what is in blocks */
            continue;
        }
        return cfg_error(
            &x->cfg, keys[i],
            "the checkpoint is quantised%s, and such weights are not read: give the original one "
            "(--quant=q8, q6 or q4 quantises it here)",
            cJSON_IsString(how) ? arena_printf(x->a, " (%s)", how->valuestring) : "");
    }
    return true;
}

static cJSON *import_chosen(ImportCtx *x, const char *arch) {
    const Importer *imp = choose_importer(x, arch);
    return imp ? imp->import(x) : NULL;
}

char *import_model(Diag *d, Arena *a, const char *path, const WeightSet *w, const ImportOptions *o) {
    ImportCtx x = {.d = d, .a = a, .w = w, .path = arena_strdup(a, path), .arch = "", .errors = d->errors};
    x.cfg = (Cfg){.ctx = &x, .path = ""};
    x.json = x.generation = (Json){.diag = d, .arena = a, .file = x.path};
    if (weights_are_gguf(w)) {
        diag_error(d, (Loc){.file = w->tensors ? w->tensors[0].file : path},
                   "is a GGUF file, whose architecture is not imported: give a description whose \"weights\" "
                   "name it");
        return NULL;
    }
    cJSON *m = NULL;
    if (read_config(&x) && is_plain(&x))
        m = o->describe ? import_bound(&x, o->describe) : import_chosen(&x, o->arch);
    if (m && !import_failed(&x)) cfg_done(&x.cfg);
    char *text = NULL;
    if (m && !import_failed(&x)) {
        model_finish(m, o->weights_as ? o->weights_as : x.path);
        text = json_print(a, m);
    }
    cJSON_Delete(m);
    json_free(&x.json);
    json_free(&x.generation);
    return text;
}
