/* Inputs, outputs and states of runs, common to interpreted, native and emulated sessions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

Func *session_main(const Session *s) {
    return ir_func_find(s->model.module, "main");
}

double *session_tensor_add(Arena *a, TensorList *l, const char *name, int rank, const int64_t *dim) {
    RawTensor t = {.name = arena_strdup(a, name), .dt = DT_F64, .rank = rank, .file = "computed"};
    int64_t n = 1;
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i], n *= dim[i];
    t.bytes = (size_t)n * sizeof(double);
    double *data = arena_alloc(a, t.bytes);
    t.data = (const uint8_t *)data;
    ARENA_PUSH(a, l->items, l->n, l->cap, t);
    return data;
}

/* Results that are whole numbers lie as such in the buffer. */
void session_take(const Session *s, int result, double *to, const float *from, int64_t n) {
    DType dt = ir_func_find(s->model.module, "main")->results[result]->type.dt;
    for (int64_t i = 0; i < n; i++) to[i] = dtype_load(dt, from, i);
}

bool session_likeliest(Session *s, const double *logits, int64_t n, int64_t at, int64_t *id) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (best < 0 ? logits[i] > -INFINITY : logits[i] > logits[best]) best = i;
    *id = best;
    return (best >= 0 && logits[best] < INFINITY) ||
           diag_error(s->d, (Loc){.file = s->model.path},
                      "the output for position %lld is not finite: no token can be chosen", (long long)at);
}

/* ---- inputs and outputs ---- */

bool session_batch(Session *s, const RawTensor *t, Batch *b) {
    Type p = session_main(s)->params[0]->type;
    bool ids = p.dt == DT_I32;
    if (!raw_tensor_readable(s->d, t)) return false;
    if (t->rank != (ids ? 2 : 3))
        return diag_error(s->d, (Loc){.file = t->file, .path = t->name}, "must be %s, is %s",
                          ids ? "[batch, tokens]" : "[batch, tokens, features]", raw_tensor_type(s->a, t));
    *b = (Batch){t->dim[0], t->dim[1], ids ? 0 : t->dim[2], t};
    if (b->B < 1 || b->T < 1)
        return diag_error(s->d, (Loc){.file = t->file, .path = t->name}, "is empty: %s",
                          raw_tensor_type(s->a, t));
    if (!ids && t->dim[2] != type_count(p))
        return diag_error(s->d, (Loc){.file = t->file, .path = t->name},
                          "has %lld features, the model takes %lld", (long long)t->dim[2],
                          (long long)type_count(p));
    const Attr *vocab = attr_find(s->model.module->attrs, "vocab");
    for (int64_t i = 0; ids && vocab && i < b->B * b->T; i++) {
        double id = dtype_load(t->dt, t->data, i);
        if (!(id >= 0 && id < (double)vocab->i))
            return diag_error(s->d, (Loc){.file = t->file, .path = t->name},
                              "id %.0f of token %lld is not below the vocabulary's size %lld", id,
                              (long long)i, (long long)vocab->i);
        if (id != floor(id))
            return diag_error(s->d, (Loc){.file = t->file, .path = t->name},
                              "id %g of token %lld is not a whole number", id, (long long)i);
    }
    return true;
}

void *session_rows(Session *s, const Batch *b, int64_t row, int64_t t, int64_t n) {
    int64_t w = b->width ? b->width : 1, from = (row * b->T + t) * w;
    if (b->width) {
        float *x = ARENA_ARRAY(s->a, float, n *w);
        for (int64_t i = 0; i < n * w; i++) x[i] = (float)dtype_load(b->t->dt, b->t->data, from + i);
        return x;
    }
    int32_t *x = ARENA_ARRAY(s->a, int32_t, n);
    for (int64_t i = 0; i < n; i++) x[i] = (int32_t)dtype_load(b->t->dt, b->t->data, from + i);
    return x;
}

Outputs session_outputs(Session *s, const Batch *b, TensorList *list) {
    const Func *f = session_main(s);
    Outputs o = {f->nresults, ARENA_ARRAY(s->a, double *, f->nresults),
                 ARENA_ARRAY(s->a, int64_t, f->nresults)};
    for (int k = 1; k <= o.n; k++) { /* probes first, then the output: the order of execution */
        int i = k % o.n;
        Type t = f->results[i]->type;
        int64_t dim[RAW_MAX_RANK] = {b->B, b->T};
        for (int r = 0; r < t.rank; r++) dim[2 + r] = t.dim[r];
        o.width[i] = type_count(t);
        o.data[i] = session_tensor_add(s->a, list, f->result_names[i], 2 + t.rank, dim);
    }
    return o;
}

/* ---- states ---- */

/* Whether the description says that the original keeps it with its last two axes exchanged. */
static bool is_transposed(const Session *s, const char *slot) {
    const Attr *list = attr_find(s->model.module->attrs, "transposed");
    size_t n = strlen(slot);
    for (const char *p = list ? list->s : ""; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && !strncmp(p, slot, n)) return true;
    return false;
}

static void transpose(double *to, const double *from, int64_t matrices, int64_t rows, int64_t cols) {
    for (int64_t m = 0; m < matrices; m++, to += rows * cols, from += rows * cols)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) to[j * rows + i] = from[i * cols + j];
}

void session_state_add(Session *s, TensorList *list, int64_t call, const State *st, int64_t B, int64_t row,
                       const double *data) {
    const char *name = call < 0 ? arena_printf(s->a, "state.%s", st->name)
                                : arena_printf(s->a, "state.%lld.%s", (long long)call, st->name);
    if (!type_count(st->type)) return; /* nothing is kept */
    int64_t n = type_count(st->type), dim[RAW_MAX_RANK] = {B}, *last = dim + st->type.rank;
    for (int r = 0; r < st->type.rank; r++) dim[1 + r] = st->type.dim[r];
    bool turn = st->type.rank >= 2 && is_transposed(s, st->name);
    int64_t rows = turn ? last[-1] : 1, cols = *last;
    if (turn) last[-1] = cols, *last = rows;
    const RawTensor *old = tensor_find(list, name);
    double *to =
        old ? (double *)(uintptr_t)old->data : session_tensor_add(s->a, list, name, 1 + st->type.rank, dim);
    if (turn)
        transpose(to + row * n, data, n / (rows * cols), rows, cols);
    else
        memcpy(to + row * n, data, sizeof *data * (size_t)n);
}

void session_interpreted_states(Session *s, const InterpState *st, int64_t B, int64_t row, TensorList *list) {
    const Func *f = session_main(s);
    for (int k = 0; k < f->nstates; k++)
        session_state_add(s, list, -1, &f->states[k], B, row,
                          interp_state_slot(st, "", f->states[k].name)->data);
    OPS_OF (session_main(s)->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *g = ir_func_find(s->model.module, attr_str(op, "func", ""));
        int64_t call = attr_int(op, "index", 0);
        const char *path = arena_printf(s->a, "%lld", (long long)call);
        for (int k = 0; k < g->nstates; k++) {
            const Tensor *t = interp_state_slot(st, path, g->states[k].name);
            if (t) session_state_add(s, list, call, &g->states[k], B, row, t->data);
        }
    }
}

/* A state as the description has it, put together from the slices that passes have cut it into. */
typedef struct Whole {
    const State *state;
    double *data;
    int64_t filled; /* numbers */
} Whole;

static Whole *whole_for(Arena *a, Whole *all, int *n, const State *st) {
    const State *root = st->slice_of ? st->slice_of : st;
    for (int i = 0; i < *n; i++)
        if (!strcmp(all[i].state->name, root->name)) return &all[i];
    all[*n] = (Whole){root, ARENA_ARRAY(a, double, type_count(root->type)), 0};
    return &all[(*n)++];
}

static void put_slice(Whole *w, const State *st, const double *data) {
    int64_t n = type_count(st->type), cols = st->type.rank ? st->type.dim[st->type.rank - 1] : 1;
    int64_t width = w->state->type.rank ? w->state->type.dim[w->state->type.rank - 1] : 1;
    for (int64_t i = 0; i < n; i++) w->data[i / cols * width + st->slice_at + i % cols] = data[i];
    w->filled += n;
}

void session_states(Session *s, const char *block, int64_t B, int64_t row, TensorList *list) {
    const Schedule *l = &s->compiled.lowered.schedule;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        const Func *f = call->plan->f;
        Whole *all = ARENA_ARRAY(s->a, Whole, f->nstates);
        int n = 0;
        for (int k = 0; k < f->nstates; k++) {
            double *data = ARENA_ARRAY(s->a, double, type_count(f->states[k].type));
            state_slot_read(s->a, call, k, &s->compiled.lower, block, data);
            put_slice(whole_for(s->a, all, &n, &f->states[k]), &f->states[k], data);
        }
        for (int k = 0; k < n; k++)
            if (all[k].filled == type_count(all[k].state->type)) /* else a part of it is nobody's input */
                session_state_add(s, list, call->layer, all[k].state, B, row, all[k].data);
    }
}
