/* Loops of scan.diag: ir/ops/scan_diag.c says what they compute. */
#include "kernels/lower.h"
#include "kernels/ops/scan_channels.h"
#include "ops/common.h"

/* ---- lowering ---- */

static Value *next(Lower *l, Op *op, const Ix *ix, Value *h) {
    return lb_fma(&l->b, lw_read(l, op->in[0], ix), h, lw_read(l, op->in[1], ix));
}

static void lower_scan_diag(Lower *l, Op *op) {
    scan_channels_lower(l, op, next);
}

const OpLowering lowering_scan_diag = {
    .lower = lower_scan_diag,
    .access = scan_channels_access,
};
