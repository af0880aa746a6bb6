/* See kernels.h. */
#include "kernels.h"

#include "kernel_write.h"

/* ---- products ---- */

static void plain_group(Kernel *k, Value *group, Value *at) {
    Vectors w;
    for (int c = 0; c < kernel_columns(k); c++) w.v[c] = kernel_load(k, k->s.w->dt, c, at, 0);
    kernel_multiply(k, &w, group);
}

static void one_group(Kernel *k, Value *group, Value *at) {
    if (k->s.math->input == DT_BF16)
        bf16_group(k, group, at, bf16_dot);
    else if (k->s.w->dt == DT_BF16)
        bf16_group(k, group, at, bf16_multiply);
    else
        plain_group(k, group, at);
}

/* Groups in a turn of the loop. */
static int unroll_of(const Kernel *k) {
    int64_t bytes = panel_group_bytes(k->s.w, k->t->panel);
    int n = k->s.streams ? (int)(k->t->tuning.stream_bytes / bytes)
                         : k->t->tuning.tile_unroll / panel_group(k->s.w);
    return n < 1 ? 1 : n;
}

/* Groups of one part. */
static void plain_groups(Kernel *k) {
    LB *b = &k->b;
    int n = unroll_of(k);
    int64_t bytes = panel_group_bytes(k->s.w, k->t->panel);
    Value *main = n > 1 ? lb_mul(b, lb_div(b, k->parts, lb_i64(b, n)), lb_i64(b, n)) : k->parts;
    KFOR (b, g, lb_i64(b, 0), main, n) {
        Value *at = kernel_group_at(k, g);
        kernel_prefetch(k, at, n * bytes);
        for (int u = 0; u < n; u++) one_group(k, lb_addi(b, g, u), lb_addi(b, at, u * bytes));
    }
    if (n == 1) return;
    KFOR (b, g, main, k->parts, 1) one_group(k, g, kernel_group_at(k, g));
}

/* ---- functions ---- */

static Value *stepped(LB *b, Value *p, Value *stride, int n) {
    return n ? lb_offset(b, p, lb_muli(b, stride, n)) : p;
}

static void open_pointers(Kernel *k) {
    LB *b = &k->b;
    Func *f = b->f;
    Type i64 = type_scalar(DT_I64, 0);
    k->x = ir_param_add(f, "x", type_ptr()), k->scales = ir_param_add(f, "scales", type_ptr());
    k->x_stride = ir_param_add(f, "x_stride", i64);
    k->w = ir_param_as(f, PARAM_READONLY, "w", type_ptr()), k->w_stride = ir_param_add(f, "w_stride", i64);
    k->from = ir_param_add(f, "from", i64), k->parts = ir_param_add(f, "parts", i64);
    k->sums = ir_param_add(f, "sums", type_ptr()), k->more = ir_param_add(f, "more", i64);
    for (int r = 0; r < k->s.rows; r++) {
        k->xp[r] = stepped(b, k->x, k->x_stride, r);
        k->sp[r] = stepped(b, k->scales, k->x_stride, r);
    }
    for (int p = 0; p < k->s.panels; p++) k->wp[p] = stepped(b, k->w, k->w_stride, p);
}

static void make_sums(Kernel *k) {
    LB *b = &k->b;
    int n = k->s.rows * kernel_columns(k);
    kernel_load_tables(k);
    RegisterTile sums = kernel_sums(k), ints = kernel_ints(k);
    register_tile_begin(&sums, lb_splat(b, lb_f32(b, 0)));
    if (arithmetic_in_bytes(k->s.math)) register_tile_begin(&ints, lb_splat(b, lb_i32(b, 0)));
    lb_if_begin(b, lb_cmp(b, "ne", k->more, lb_i64(b, 0)));
    for (int i = 0; i < n; i++)
        lb_set(b, k->acc[i], lb_load(b, DT_F32, b->lanes, k->sums, lb_i64(b, (int64_t)i * b->lanes), 0));
    lb_if_end(b);
    if (k->s.w->block)
        blocks_each(k, arithmetic_in_bytes(k->s.math) ? int8_dot : block_numbers);
    else
        plain_groups(k);
    for (int i = 0; i < n; i++)
        lb_store(b, DT_F32, k->sums, lb_i64(b, (int64_t)i * b->lanes), lb_get(b, k->acc[i]), 0);
}

const char *kernel_of(Lower *l, KernelSpec s) {
    const char *name = arena_printf(l->arena, "product_%s_%s_%dx%d%s", s.w->name, s.math->name, s.rows,
                                    s.panels, s.streams ? "_streams" : "");
    if (ir_func_find(l->b.f->module, name)) return name;
    Kernel k = kernel_begin(l, s, name);
    open_pointers(&k);
    k.use = kernel_multiply;
    if (s.rows > MAX_ROWS || kernel_columns(&k) > MAX_VECTORS) BTC_BUG("kernel %s is too large", name);
    make_sums(&k);
    return name;
}

/* ---- tiles ---- */

/* A step has few rows, and its weights come from memory. A tile takes all rows, so that each weight is read and
 * decoded once, and as many panels as then fit into registers beside the sums. */
static void step_tile(const Lower *l, int sums, KernelSpec *s) {
    int v = l->t->panel / l->t->lanes, rows = MAX_ROWS, panels = 1;
    /* registers that decoding a vector of weights takes: a table and pairs of bf16; or factors */
    int taken = format_is_compressed(s->w) ? 4 : s->w->factor_bits || s->w->minimum ? 3 : 1;
    while (rows > 1 && sums * rows * v + v + 2 > l->t->vregs) rows /= 2;
    while (panels < 4 && (sums * rows + taken) * (panels + 1) * v + 2 <= l->t->vregs) panels++;
    s->rows = rows, s->panels = panels, s->streams = true;
}

KernelSpec kernel_tile(const Lower *l, const NumberFormat *w, const Arithmetic *math) {
    const Tuning *u = &l->t->tuning;
    int v = l->t->panel / l->t->lanes;
    bool ints = arithmetic_in_bytes(math);
    int rows = ints ? u->dot_rows : u->tile_rows, cols = ints ? u->dot_columns : u->tile_columns;
    KernelSpec s = {.w = w, .math = math, .rows = rows, .panels = cols < v ? 1 : cols / v};
    if (l->form == FORM_STEP) step_tile(l, ints ? 2 : 1, &s);
    return s;
}
