/* Loops of scan.max: ir/ops/scan_max.c says what they compute. */
#include "kernels/lower.h"
#include "kernels/ops/scan_channels.h"
#include "ops/common.h"

static Value *next(Lower *l, Op *op, const Ix *ix, Value *m) {
    LB *b = &l->b;
    Value *x = lb_splat(b, lb_add(b, lw_read(l, op->in[0], ix), m));
    return lb_keep_nan(b, x, lb_max(b, x, lw_read(l, op->in[1], ix)));
}

static void lower_scan_max(Lower *l, Op *op) {
    scan_channels_lower(l, op, next);
}

const OpLowering lowering_scan_max = {
    .lower = lower_scan_max,
    .access = scan_channels_access,
};
