#include "import/parts/mlstm.h"

void st_mlstm(cJSON *ops, const char *heads, const char *width, double eps) {
    st(ops, "{'out':'f','map':'-softplus(-f)','comment':'logarithms of the gates'}");
    st(ops, "{'out':'old','op':'scan.max','a':'f','b':'i','read':'before','start':0,'state':'m'}");
    st(ops, "{'out':'top','map':'maximum(f + old, i)'}");
    st(ops, "{'out':'f','map':'f + old - top'}");
    st(ops, "{'out':'i','map':'exp(i - top)'}");
    for (const char *const *p = (const char *const[]){"f", "i", "top", NULL}; *p; p++)
        st(ops, "{'out':'%s','op':'reshape','x':'%s','shape':['%s',1]}", *p, *p, heads);
    st(ops, "{'out':'iv','map':'i * v'}");
    st(ops, "{'out':'iv1','op':'concat','in':['iv','i'],'axis':-1}");
    st(ops, "{'out':'y','op':'scan.matrix','q':'q','k':'k','v':'iv1','decay':'f','state':'C'}");
    st(ops, "{'out':['y','n'],'split':'y','sizes':['%s',1]}", width);
    st(ops, "{'out':'y','map':'y / (maximum(abs(n), exp(-top)) + %.17g)'}", eps);
}
