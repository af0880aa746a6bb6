#include "scan_panels.h"

enum { NO_BLOCKS = 1 << 30 };

Value *panels_first(Lower *l, Value *i, int64_t n) {
    LB *b = &l->b;
    Value *in_panel = lb_and(b, i, lb_i64(b, l->t->panel - 1));
    return lb_add(b, lb_muli(b, lb_sub(b, i, in_panel), n), in_panel);
}

/* A step visits each sequence's states once: the longer the segment, the better the hardware prefetches. */
int64_t panels_block(const Lower *l, int64_t bytes_per_channel) {
    if (l->form == FORM_STEP) return NO_BLOCKS;
    int64_t n = l->t->state_room / bytes_per_channel, panel = l->t->panel;
    return n < panel ? panel : n / panel * panel;
}

void panels_staged_begin(LwStaged *h, Value *from, Value *to, int64_t n) {
    LB *b = &h->l->b;
    int64_t panel = h->l->t->panel;
    Value *end = lb_and(b, lb_addi(b, to, panel - 1), lb_i64(b, -panel));
    lw_staged_begin(h, lb_muli(b, from, n), lb_muli(b, end, n));
}

int64_t panels_elements(const LowerTarget *t, int64_t c, int64_t n) {
    return (c + t->panel - 1) / t->panel * t->panel * n;
}

void panels_unpack(const LowerTarget *t, int64_t c, int64_t n, const float *physical, double *logical) {
    int64_t panel = t->panel;
    for (int64_t i = 0; i < c; i++)
        for (int64_t k = 0; k < n; k++)
            logical[i * n + k] = (double)physical[(i / panel * n + k) * panel + i % panel];
}
