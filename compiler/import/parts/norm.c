/* Ba et al. 2016, arXiv:1607.06450 (layer norm); Zhang & Sennrich 2019, arXiv:1910.07467 (RMS norm). */
#include "import/parts/norm.h"

void st_norm(cJSON *ops, const char *out, const char *in, const char *module, const char *dim,
             const Norm *n) {
    const char *weight = n->w ? n->w : "weight",
               *op = n->kind == NORM_LAYER || n->kind == NORM_LAYER_PLUS ? "norm.layer" : "norm.rms";
    if (n->kind == NORM_RMS_APART) {
        st(ops, "{'out':'size','map':'%s * %s'}", in, in);
        st(ops, "{'out':'size','op':'reduce','x':'size','kind':'mean'}");
        st(ops, "{'out':'%s','map':'%s / (sqrt(size) + %.12g) * @%s.%s[%s]'}", out, in, n->eps, module,
           weight, dim);
    } else if (n->bare) {
        st(ops, "{'out':'%s','op':'%s','x':'%s','eps':%.17g}", out, op, in, n->eps);
    } else if (n->kind == NORM_RMS_PLUS || n->kind == NORM_LAYER_PLUS) {
        st(ops, "{'out':'w','map':'1 + @%s.%s[%s]'}", module, weight, dim);
        st(ops, "{'out':'%s','op':'%s','x':'%s','w':'w','eps':%.17g}", out, op, in, n->eps);
    } else if (n->kind == NORM_LAYER && !n->no_bias) {
        st(ops, "{'out':'%s','op':'%s','x':'%s','w':'@%s.%s[%s]','b':'@%s.bias[%s]','eps':%.17g}", out, op,
           in, module, weight, dim, module, dim, n->eps);
    } else {
        st(ops, "{'out':'%s','op':'%s','x':'%s','w':'@%s.%s[%s]','eps':%.17g}", out, op, in, module, weight,
           dim, n->eps);
    }
}
