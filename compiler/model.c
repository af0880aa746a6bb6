#include "model.h"

#include <string.h>

#include "base/hash.h"
#include "desc/desc.h"
#include "import/import.h"
#include "index_range.h"
#include "pack/numbers.h"
#include "pack/storage.h"
#include "quantize/calibration.h"

static bool has_suffix(const char *s, const char *suffix) {
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

static bool open_description(Diag *d, Model *m) {
    m->description_name = m->path;
    m->description = file_read_text(d, m->arena, m->path, &m->description_size);
    if (!m->description) return false;
    m->weights_open = true;
    return desc_open_weights(d, m->arena, m->path, m->description, m->description_size, &m->weights);
}

static bool open_checkpoint(Diag *d, Model *m, const ModelOptions *o) {
    m->weights_open = true;
    if (!weights_open(d, m->arena, m->path, &m->weights)) return false;
    m->description = import_model(d, m->arena, m->path, &m->weights,
                                  &(ImportOptions){o->arch, o->describe, o->weights_as});
    if (!m->description) return false;
    m->description_size = strlen(m->description);
    m->description_name = o->describe ? arena_printf(m->arena, "%s (filled in)", o->describe)
                                      : arena_printf(m->arena, "%s (imported)", m->path);
    return true;
}

static uint64_t hash_functions(const Module *module) {
    Arena *a = arena_new();
    uint64_t h = HASH_START;
    for (const Func *f = module->first; f; f = f->next) h = hash_text(h, ir_print_func(a, f));
    arena_free(a);
    return h;
}

static bool open_model(Diag *d, Arena *a, const char *path, const ModelOptions *o, Model *m) {
    *m = (Model){.arena = a, .path = path, .allow_nonfinite = o->allow_nonfinite};
    const char *foreign = weights_foreign(path);
    if (foreign) return diag_error(d, (Loc){.file = path}, "%s", foreign);
    if (!storage_check_options(d, o)) return false;
    if (!file_exists(path)) return diag_error(d, (Loc){.file = path}, "no such file or folder");
    bool is_description = has_suffix(path, ".json") && !has_suffix(path, ".index.json");
    if (is_description && o->describe) {
        d->usage = true;
        return diag_error(d, (Loc){.file = path}, "is a description itself: --describe=%s needs a checkpoint",
                          o->describe);
    }
    if (o->arch && o->describe) {
        d->usage = true;
        return diag_error(d, (Loc){0}, "--describe stands in place of an importer: leave out --arch=%s",
                          o->arch);
    }
    if (!(is_description ? open_description(d, m) : open_checkpoint(d, m, o))) return false;
    m->module = desc_load(d, a, m->description_name, m->description, m->description_size, &m->weights);
    if (!m->module || !desc_check_weights(d, a, m->module, &m->weights) || !index_check(d, m->module))
        return false;
    m->described = hash_functions(m->module);
    if (!o->unread) numbers_read(&m->weights, false);
    if (!o->unread && !o->allow_nonfinite && !numbers_finite(d, m)) return false;
    if (!storage_assign(d, m, o)) return false;
    m->shape = model_shape(m);
    return !o->calibration || calibration_open(d, m, o->calibration);
}

bool model_open(Diag *d, Arena *a, const char *path, const ModelOptions *o, Model *m) {
    progress_phase(d->progress, "reading the model", 0);
    bool ok = open_model(d, a, path, o, m);
    progress_done(d->progress);
    return ok;
}

void model_close(Model *m) {
    if (m->weights_open) weights_close(&m->weights);
    if (m->calibration) weights_close(&m->calibration->tensors);
    m->calibration = NULL;
    m->weights_open = false;
}

/* The shortest limit of any op: a cache without a window, a long filter, what the position chooses from, for
 * which the description may say less; where whole sequences are read, what it says. */
int64_t model_longest(const Model *m) {
    int64_t limit = index_longest(m->module);
    const Attr *context = attr_find(m->module->attrs, "context");
    if (context && (!limit || context->i < limit)) limit = context->i;
    for (Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op) {
            int64_t n = 0;
            if (op->def == OP_TABLE[OP_conv_long]) n = op->in[1]->type.dim[1];
            if (op->def == OP_TABLE[OP_attend] && !attr_int(op, "window", 0)) n = attr_int(op, "context", 0);
            if (op->def->flags & OPF_WHOLE && context) n = context->i;
            if (n && (!limit || n < limit)) limit = n;
        }
    return limit;
}

static bool env_weight(void *user, Diag *d, Loc loc, const char *name, Type type, double *data) {
    const Model *m = user;
    const RawTensor *t = weights_find(&m->weights, name);
    if (!t) return diag_error(d, loc, "the checkpoint has no tensor \"%s\"", name);
    if (raw_tensor_count(t) != type_count(type))
        return diag_error(d, loc, "tensor \"%s\" is %s, expected %s", name, raw_tensor_type(m->arena, t),
                          type_text(m->arena, type));
    raw_tensor_doubles(t, 0, type_count(type), data);
    return true;
}

static const float *env_importance(void *user, const char *name) {
    return calibration_importance(user, name);
}

Env model_env(Model *m) {
    return (Env){.user = m, .weight = env_weight, .importance = env_importance};
}

static bool add_weight(void *user, Diag *d, const char *name, Type type, const float *data) {
    Model *m = user;
    RawTensor t = {.name = arena_strdup(m->arena, name), .dt = DT_F32, .rank = type.rank, .file = "computed"};
    for (int i = 0; i < type.rank; i++) t.dim[i] = type.dim[i];
    t.bytes = sizeof *data * (size_t)type_count(type);
    t.data = arena_copy(m->arena, data, t.bytes);
    return weights_put(d, &m->weights, &t);
}

PassWeights model_pass_weights(Model *m) {
    return (PassWeights){.env = model_env(m), .add = add_weight};
}
