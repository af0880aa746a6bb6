/* Inserts an op before products that rounds their inputs. Products of the same input share it (merge-equal merges equal
 * ones), and so do the threads.
 *
 *     %y = linear %x, %w, _ {math="int8"}    ->    %r = quantize.rows %x {math="int8", block=128, zero=128}
 *                                                  %y = linear %r, %w, _ {math="int8"} */
#include "ir/product.h"
#include "pass.h"

static bool round_before(PassCtx *cx, Func *f, Op *op, const Arithmetic *math, const NumberFormat *w) {
    Arena *a = f->module->arena;
    int64_t last = op->in[0]->type.dim[op->in[0]->type.rank - 1], parts = last / op->def->contracted(op);
    Attr *attrs = NULL;
    attr_set(a, &attrs, (Attr){.name = "math", .kind = AT_ARITHMETIC, .arithmetic = math});
    if (arithmetic_in_bytes(math)) {
        attr_set(a, &attrs, (Attr){.name = "block", .kind = AT_INT, .i = format_sum(w)});
        attr_set(a, &attrs, (Attr){.name = "zero", .kind = AT_INT, .i = product_zero(w)});
    }
    if (parts > 1) attr_set(a, &attrs, (Attr){.name = "parts", .kind = AT_INT, .i = parts});
    Op *rounded = build_before(cx, f, op, "quantize.rows", op->in, 1, attrs);
    if (!rounded) return false;
    use_result(cx, f, op, 0, rounded, "rounded");
    return true;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const NumberFormat *format = NULL;
            if (op->def->pattern != PAT_CONTRACT || !op->out[0]->type.seq) continue;
            const Arithmetic *math = arithmetic_of_product(op, &format);
            if (arithmetic_rounds(math) && !round_before(cx, f, op, math, format)) return false;
        }
    return true;
}

const Pass pass_quantize_rows = {"quantize-rows",
                                 "makes the rounding of what products multiply an op of its own", run};
