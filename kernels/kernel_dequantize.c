/* See kernels.h. */
#include "kernel_write.h"

static void store_input(Kernel *k, const Vectors *w, Value *input) {
    LB *b = &k->b;
    Value *at = lb_muli(b, input, k->t->panel);
    for (int c = 0; c < kernel_columns(k); c++)
        lb_store(b, DT_F32, k->sums, lb_addi(b, at, (int64_t)c * b->lanes), w->v[c], 0);
}

static void store_pair(Kernel *k, const Vectors *w, Value *pair) {
    LB *b = &k->b;
    Value *at = lb_muli(b, pair, k->t->panel);
    for (int c = 0; c < kernel_columns(k); c++)
        lb_store(b, DT_I32, k->sums, lb_addi(b, at, (int64_t)c * b->lanes), w->v[c], 0);
}

const char *kernel_dequantize(Lower *l, const NumberFormat *w, const Arithmetic *math) {
    bool streams = l->form == FORM_STEP;
    const NumberFormat *as = kernel_dequantized(w, math);
    const char *name =
        arena_printf(l->arena, "dequantize_%s_to_%s%s", w->name, as->name, streams ? "_streams" : "");
    if (ir_func_find(l->b.f->module, name)) return name;
    Kernel k = kernel_begin(l, (KernelSpec){w, math, .rows = 1, .panels = 1, .streams = streams}, name);
    LB *b = &k.b;
    Type i64 = type_scalar(DT_I64, 0);
    k.wp[0] = ir_param_as(b->f, PARAM_READONLY, "w", type_ptr());
    k.from = ir_param_add(b->f, "from", i64), k.parts = ir_param_add(b->f, "parts", i64);
    k.sums = ir_param_add(b->f, "out", type_ptr());
    kernel_load_tables(&k);
    k.use = store_input;
    if (w->block) {
        if (as->block && (as->block != w->block || as->scale != w->scale))
            BTC_BUG("%s as %s", w->name, as->name);
        blocks_each(&k, as->block ? int8_dequantize : block_numbers);
        return name;
    }
    KFOR (b, g, lb_i64(b, 0), k.parts, 1) {
        Value *at = kernel_group_at(&k, g);
        kernel_prefetch(&k, at, panel_group_bytes(w, l->t->panel));
        bf16_group(&k, g, at, store_pair);
    }
    return name;
}
