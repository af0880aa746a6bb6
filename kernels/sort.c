/* A counting sort: counts at begin[i + 2], sums of them at begin[i + 1], which placing moves on to the end of index i,
 * and that is the beginning of index i + 1. */
#include "sort.h"

Value *sort_get(LB *b, Value *table, Value *i) {
    return lb_cast(b, lb_load(b, DT_I32, 0, table, i, 0), DT_I64);
}

static void put(LB *b, Value *table, Value *i, Value *v) {
    lb_store(b, DT_I32, table, i, lb_cast(b, v, DT_I32), 0);
}

Sorted sort_indices(Lower *l, Value *index, Value *n, int64_t most, bool some) {
    LB *b = &l->b;
    int64_t k = index->type.dim[0], rows = l->form == FORM_STEP ? l->t->max_rows_step : l->t->chunk;
    Value *zero = lb_i64(b, 0), *end = lb_addi(b, n, 2);
    Sorted s = {lw_scratch(l, (most + 2) * 4), lw_scratch(l, rows * k * 4)};
    KFOR (b, i, zero, end, 1) put(b, s.begin, i, zero);
    for (int pass = 0; pass < 2; pass++) {
        LW_ROWS (l, row)
            KFOR (b, j, zero, lb_i64(b, k), 1) {
                Value *i = lb_cast(b, lw_read1(l, index, row, j), DT_I64);
                if (some) lb_if_begin(b, lb_cmp(b, "ge", i, zero));
                Value *at = lb_addi(b, i, pass ? 1 : 2), *count = sort_get(b, s.begin, at);
                if (pass) put(b, s.order, count, lb_add(b, lb_muli(b, row, k), j));
                put(b, s.begin, at, lb_addi(b, count, 1));
                if (some) lb_if_end(b);
            }
        if (pass == 0)
            KFOR (b, i, lb_i64(b, 1), end, 1)
                put(b, s.begin, i,
                    lb_add(b, sort_get(b, s.begin, i), sort_get(b, s.begin, lb_addi(b, i, -1))));
    }
    return s;
}
