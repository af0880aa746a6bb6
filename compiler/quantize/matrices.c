/* See matrices.h. */
#include "matrices.h"
#include "weight_name.h"

#include <string.h>

#include "pack/storage.h"

typedef struct Walk {
    const Model *m;
    MatrixList *to;
} Walk;

/* The op that reads this weight as a matrix, a product if there is one; or NULL. */
static const Op *reader_of(const Func *f, const Op *weight) {
    const Op *reader = NULL;
    OPS_OF (f->body, op) {
        if (storage_matrix(op) != weight->out[0]) continue;
        if (op->def->pattern == PAT_CONTRACT) return op;
        reader = op;
    }
    return reader;
}

const Matrix *matrix_find(const MatrixList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i].name, name)) return &l->items[i];
    return NULL;
}

/* Numbers that stand between dots become stars: "layers.3.w" is one of "layers.*.w". */
static const char *kind_of(Arena *a, const char *name) {
    Text t = text_new(a);
    for (const char *p = name; *p;) {
        size_t n = strcspn(p, ".");
        bool number = n && strspn(p, "0123456789") == n;
        text_add(&t, "%.*s", number ? 1 : (int)n, number ? "*" : p);
        p += n;
        if (*p) text_add(&t, "."), p++;
    }
    return t.s;
}

static void add_tensor(Walk *w, const Matrix *like, const char *name) {
    Matrix m = *like;
    if (matrix_find(w->to, name)) return;
    m.name = name, m.kind = kind_of(w->m->arena, name);
    int64_t rows = m.type.dim[m.type.rank - 2], cols = m.type.dim[m.type.rank - 1];
    m.inputs = m.across ? rows : cols, m.outputs = m.across ? cols : rows;
    m.count = type_count(m.type) / (rows * cols);
    ARENA_PUSH(w->m->arena, w->to->items, w->to->n, w->to->cap, m);
}

static void add_weights(Walk *w, const Func *f, const char *prefix) {
    Arena *a = w->m->arena;
    OPS_OF (f->body, op) {
        const Op *reader = op->def == OP_TABLE[OP_weight] ? reader_of(f, op) : NULL;
        if (!reader) continue;
        const char *name = weight_name(a, prefix, attr_str(op, "name", ""));
        bool stacked = strchr(name, '{') != NULL;
        Type t = op->out[0]->type;
        if (stacked) t = type_tensor(t.dt, false, t.rank - 1, t.dim + 1);
        Matrix m = {.weight = op, .prefix = prefix, .type = t, .across = attr_int(op, "inputs", -1) == -2};
        m.product = reader->def->pattern == PAT_CONTRACT;
        m.format = attr_format(op, "storage");
        for (m.part = 0; m.part < (stacked ? weight_count(name) : 1); m.part++)
            add_tensor(w, &m, weight_part(a, name, m.part));
    }
}

MatrixList matrices_of_model(const Model *m) {
    MatrixList l = {0};
    Walk w = {m, &l};
    const Func *f = ir_func_find(m->module, "main");
    OPS_OF (f->body, op)
        if (op->def->pattern == PAT_CALL)
            add_weights(&w, ir_func_find(m->module, attr_str(op, "func", "")), attr_str(op, "prefix", ""));
    add_weights(&w, f, "");
    return l;
}

int64_t matrix_element(const Matrix *m, int64_t k, int64_t o, int64_t i) {
    int64_t at = m->across ? i * m->outputs + o : o * m->inputs + i;
    return k * m->inputs * m->outputs + at;
}
