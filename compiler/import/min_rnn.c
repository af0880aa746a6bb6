/* minGRU and minLSTM, Feng et al. 2024, arXiv:2410.01201, algorithms 3 and 5 to 8, in the checkpoints of minGRU-pytorch:
 * gates that do not look at the state, so a layer is a diagonal recurrence. What is written into the state is kept
 * positive, as the original computes with its logarithm. */
#include "import/import.h"

static const char GRU[] = "to_hidden_and_gate.weight", LSTM[] = "to_hidden_and_f_i_gate.weight";

static cJSON *import(ImportCtx *x) {
    Cfg *c = &x->cfg;
    bool lstm = has_tensor(x, LSTM);
    const char *w = lstm ? LSTM : GRU;
    int64_t rows = tensor_dim(x, w, 0), parts = lstm ? 3 : 2, D = cfg_size(c, "dim", tensor_dim(x, w, 1));
    int64_t E =
        (int64_t)((double)D * cfg_float(c, "expansion_factor", (double)(rows / parts) / (double)D, ">0"));
    bool out = has_tensor(x, "to_out.weight");
    if (!cfg_bool(c, "proj_out", out) && out)
        cfg_error(c, "proj_out", "is false, but the checkpoint has to_out.weight");
    if (E * parts != rows && !import_failed(x))
        cfg_error(c, "expansion_factor", "makes %lld numbers of %lld, but %s has %lld rows", (long long)E,
                  (long long)D, w, (long long)rows);
    if (import_failed(x)) return NULL;
    cJSON *m = model_new(x, "features"), *ops = model_ops(m);
    model_dim(m, "D", D), model_dim(m, "E", E);
    st(ops, "{'out':'p','op':'linear','x':'input','w':'@%s[%lld*E, D]'}", w, (long long)parts);
    if (lstm) {
        st(ops, "{'out':['h','f','i'],'split':'p','sizes':['E','E','E']}");
        st(ops, "{'out':'z','map':'softplus(-f) - softplus(-i)','comment':'sigmoid(z) is the share of the "
                "input gate'}");
    } else {
        st(ops, "{'out':['h','z'],'split':'p','sizes':['E','E']}");
    }
    st(ops, "{'out':'b','map':'sigmoid(z) * where(h >= 0, h + 0.5, sigmoid(h))'}");
    st(ops, "{'out':'a','map':'sigmoid(-z)'}");
    st(ops, "{'out':'y','op':'scan.diag','a':'a','b':'b','state':'h'}");
    if (out) st_linear(ops, "y", "y", "to_out", "D", "E", false);
    return m;
}

static bool recognise(const ImportCtx *x) {
    return has_tensor(x, GRU) || has_tensor(x, LSTM);
}

const Importer importer_min_rnn = {
    .name = "min-rnn",
    .doc = "minGRU and minLSTM of minGRU-pytorch",
    .accepts = "mingru minlstm",
    .recurrence = "diagonal",
    .cases = "mingru minlstm",
    .recognise = recognise,
    .import = import,
};
