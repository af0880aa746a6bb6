#include "outliers.h"

#include "formats/compressed.h"
#include "kernels.h"

typedef struct Entry {
    Value *input, *output, *add;
} Entry;

static Value *list_count(LB *b, Value *list) {
    return lb_cast(b, lb_load(b, DT_I32, 0, list, lb_i64(b, 0), 0), DT_I64);
}

static Entry list_entry(LB *b, Value *list, Value *number, int64_t width) {
    Value *at = lb_offseti(b, lb_offset(b, list, lb_muli(b, number, COMPRESSED_ENTRY)), COMPRESSED_LIST_HEAD);
    Value *where = lb_cast(b, lb_load(b, DT_I32, 0, at, lb_i64(b, 0), 0), DT_I64), *w = lb_i64(b, width);
    return (Entry){lb_div(b, where, w), lb_rem(b, where, w), lb_load(b, DT_F32, 0, at, lb_i64(b, 1), 0)};
}

const char *outliers_to_panel(Lower *l) {
    static const char name[] = "outliers_to_panel";
    if (ir_func_find(l->b.f->module, name)) return name;
    LB lb = kernel_function(l, name), *b = &lb;
    Type i64 = type_scalar(DT_I64, 0);
    Value *list = ir_param_add(b->f, "list", type_ptr()), *from = ir_param_add(b->f, "from", i64);
    Value *n = ir_param_add(b->f, "n", i64), *out = ir_param_add(b->f, "out", type_ptr()),
          *two = lb_i64(b, 2);
    KFOR (b, e, lb_i64(b, 0), list_count(b, list), 1) {
        Entry entry = list_entry(b, list, e, l->t->panel);
        Value *i = lb_sub(b, entry.input, from);
        lb_if_begin(b, lb_and(b, lb_cmp(b, "ge", i, lb_i64(b, 0)), lb_cmp(b, "lt", i, n)));
        Value *at = lb_add(b, lb_muli(b, lb_div(b, i, two), l->t->panel), entry.output);
        at = lb_add(b, lb_muli(b, at, 2), lb_rem(b, i, two));
        Value *x = lb_load(b, DT_BF16, 0, out, at, 0);
        lb_store(b, DT_BF16, out, at, lb_add(b, x, entry.add), 0);
        lb_if_end(b);
    }
    return name;
}

const char *outliers_to_sums(Lower *l, DType x_type) {
    const char *name = arena_printf(l->arena, "outliers_to_sums_%s", dtype_name(x_type));
    if (ir_func_find(l->b.f->module, name)) return name;
    LB lb = kernel_function(l, name), *b = &lb;
    Type i64 = type_scalar(DT_I64, 0);
    Value *list = ir_param_add(b->f, "list", type_ptr()), *x = ir_param_add(b->f, "x", type_ptr());
    Value *x_stride = ir_param_add(b->f, "x_stride", i64), *rows = ir_param_add(b->f, "rows", i64);
    Value *sums = ir_param_add(b->f, "sums", type_ptr()),
          *sums_stride = ir_param_add(b->f, "sums_stride", i64);
    KFOR (b, e, lb_i64(b, 0), list_count(b, list), 1) {
        Entry entry = list_entry(b, list, e, l->t->panel);
        KFOR (b, r, lb_i64(b, 0), rows, 1) {
            Value *xr = lb_load(b, x_type, 0, lb_offset(b, x, lb_mul(b, r, x_stride)), entry.input, 0);
            Value *row = lb_offset(b, sums, lb_mul(b, r, sums_stride));
            Value *sum = lb_fma(b, xr, entry.add, lb_load(b, DT_F32, 0, row, entry.output, 0));
            lb_store(b, DT_F32, row, entry.output, sum, 0);
        }
    }
    return name;
}
