/* See kernel_write.h. */
#include "kernel_write.h"

#include <string.h>

LB kernel_function(Lower *l, const char *name) {
    Func *f = ir_func_new(l->b.f->module, name, LEVEL_LOOP);
    attr_set(l->arena, &f->attrs, (Attr){.name = "helper", .kind = AT_BOOL, .i = 1});
    LB b = lb_new(f, l->t->lanes);
    b.loc = l->b.loc;
    return b;
}

Kernel kernel_begin(Lower *l, KernelSpec s, const char *name) {
    return (Kernel){.b = kernel_function(l, name), .t = l->t, .s = s, .vectors = l->t->panel / l->t->lanes};
}

int kernel_columns(const Kernel *k) {
    return k->s.panels * k->vectors;
}

static RegisterTile tile_of(Kernel *k, Value **acc) {
    int columns = kernel_columns(k);
    return (RegisterTile){&k->b, acc, k->s.rows, columns, columns};
}

RegisterTile kernel_sums(Kernel *k) {
    return tile_of(k, k->acc);
}

RegisterTile kernel_ints(Kernel *k) {
    return tile_of(k, k->ints);
}

Value *kernel_load(Kernel *k, DType dt, int c, Value *at, int64_t i) {
    LB *b = &k->b;
    int64_t within = c % k->vectors * b->lanes * (int64_t)dtype_size(dt);
    Value *p = lb_offset(b, k->wp[c / k->vectors], lb_addi(b, at, i + within));
    return lb_load(b, dt, b->lanes, p, lb_i64(b, 0), 0);
}

/* The 16 bytes of a table, again and again: lane i has those from 4 (i mod 4) on. */
static Value *table_vector(LB *b, const uint8_t *table) {
    Value *words = NULL, *lane = lb_and(b, lb_iota(b), lb_i32(b, 3));
    for (int i = 3; i >= 0; i--) {
        int32_t word;
        memcpy(&word, table + 4 * i, sizeof word);
        Value *here = lb_splat(b, lb_i32(b, word));
        words = words ? lb_select(b, lb_cmp(b, "eq", lane, lb_i32(b, i)), here, words) : here;
    }
    return words;
}

void kernel_load_tables(Kernel *k) {
    LB *b = &k->b;
    Value *values = k->s.w->table && b->lanes % 4 == 0 ? table_vector(b, k->s.w->table) : NULL;
    for (int c = 0; c < kernel_columns(k); c++)
        k->table[c] = format_is_compressed(k->s.w) ? kernel_load(k, DT_I32, c, lb_i64(b, 0), 0) : values;
}

Value *kernel_group_at(Kernel *k, Value *g) {
    LB *b = &k->b;
    Value *at = lb_muli(b, lb_add(b, k->from, g), panel_group_bytes(k->s.w, k->t->panel));
    return lb_addi(b, at, panel_head(k->s.w, k->t->panel));
}

/* Whether a kernel computes longer than it reads: several rows, or f32 made of few bits. */
static bool computes_more(const KernelSpec *s) {
    return s->rows > 1 || (s->w->block && !arithmetic_rounds(s->math));
}

void kernel_prefetch(Kernel *k, Value *at, int64_t bytes) {
    LB *b = &k->b;
    const Tuning *u = &k->t->tuning;
    int64_t ahead = computes_more(&k->s) ? u->busy_prefetch_bytes : u->prefetch_bytes;
    int line = k->t->cache_line;
    if (!k->s.streams || !ahead || !line || k->t->execution == EXECUTION_GRID) return;
    for (int p = 0; p < k->s.panels; p++)
        for (int64_t i = 0; i < bytes; i += line)
            lb_prefetch(b, lb_offseti(b, k->wp[p], ahead + i), at, DT_U8);
}

void kernel_accumulate(Kernel *k, DType dt, const Vectors *w, Value *i, Accumulate *add) {
    LB *b = &k->b;
    RegisterTile sums = kernel_sums(k);
    for (int r = 0; r < k->s.rows; r++)
        register_tile_add(&sums, r, w->v, lb_splat(b, lb_load(b, dt, 0, k->xp[r], i, 0)), add);
}

void kernel_multiply(Kernel *k, const Vectors *w, Value *i) {
    kernel_accumulate(k, DT_F32, w, i, register_tile_fma);
}

const NumberFormat *kernel_dequantized(const NumberFormat *w, const Arithmetic *math) {
    if (format_is_compressed(w)) return &format_bf16;
    return arithmetic_in_bytes(math) && w->fold ? &format_q8 : &format_f32;
}
