/* Shazeer 2020, arXiv:2002.05202 (gated MLP). */
#include "import/parts/mlp.h"

static const char *tensor(ImportCtx *x, const Mlp *t, const char *name, const char *otherwise) {
    if (!name) name = otherwise;
    return t->module ? arena_printf(x->a, "%s.%s", t->module, name) : name;
}

static void st_product(ImportCtx *x, cJSON *ops, const Mlp *t, const char *out, const char *in,
                       const char *name, const char *otherwise, const char *o, const char *i) {
    const char *w = tensor(x, t, name, otherwise);
    if (t->transposed)
        st_linear_transposed(ops, out, in, w, o, i, t->bias);
    else
        st_linear(ops, out, in, w, o, i, t->bias);
}

static void st_low_rank(ImportCtx *x, cJSON *ops, const char *in, const Mlp *t, const char *width) {
    if (!t->low_rank) return;
    model_dim(x->model, "AR", t->rank);
    st_linear(ops, "a", in, arena_printf(x->a, "%s.0", t->low_rank), "AR", "D", false);
    st_linear(ops, "a", "a", arena_printf(x->a, "%s.1", t->low_rank), width, "AR", false);
    st(ops, "{'out':'gate_up','map':'gate_up + a'}");
}

void st_mlp(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Mlp *t) {
    const char *F = t->dim ? t->dim : "F";
    model_dim(x->model, F, t->width);
    if (t->gate_up) {
        st_product(x, ops, t, "gate_up", in, t->gate_up, NULL, arena_printf(x->a, "2*%s", F), "D");
        st_low_rank(x, ops, in, t, arena_printf(x->a, "2*%s", F));
        st(ops, "{'out':[%s],'split':'gate_up','sizes':['%s','%s']}",
           t->up_first ? "'up','gate'" : "'gate','up'", F, F);
    } else {
        if (!t->ungated) st_product(x, ops, t, "gate", in, t->gate, "gate_proj", F, "D");
        st_product(x, ops, t, "up", in, t->up, "up_proj", F, "D");
    }
    const char *gate =
        t->gate_scale != 0 ? arena_printf(x->a, "%s * gate", json_number(x->a, t->gate_scale)) : "gate";
    if (t->ungated)
        st(ops, "{'out':'f','map':'%s(up)'}", t->act);
    else
        st(ops, "{'out':'f','map':'%s(%s) * up'}", t->act, gate);
    st_product(x, ops, t, out, "f", t->down, "down_proj", "D", F);
    if (t->out_scale != 0) st(ops, "{'out':'%s','map':'%s * %s'}", out, json_number(x->a, t->out_scale), out);
}
