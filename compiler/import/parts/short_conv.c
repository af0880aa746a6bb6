#include "import/parts/short_conv.h"

#define ST(...) st_part(b, t->module, NULL, __VA_ARGS__)

void st_short_conv(ImportCtx *x, cJSON *b, const char *out, const char *in, const ShortConv *t) {
    model_dim(x->model, "CW", t->taps);
    ST("{'out':'BCx','op':'linear','x':'%s','w':'@~in_proj.weight[3*D, D]'%s}", in,
       t->bias ? ",'b':'@~in_proj.bias[3*D]'" : "");
    ST("{'out':['B','C','v'],'split':'BCx','sizes':['D','D','D']}");
    ST("{'out':'v','map':'B * v'}");
    ST("{'out':'v','op':'conv.short','x':'v','w':'@~conv.weight[D, CW]'%s,'state':'conv'}",
       t->bias ? ",'b':'@~conv.bias[D]'" : "");
    ST("{'out':'v','map':'C * v'}");
    ST("{'out':'%s','op':'linear','x':'v','w':'@~out_proj.weight[D, D]'%s}", out,
       t->bias ? ",'b':'@~out_proj.bias[D]'" : "");
}
