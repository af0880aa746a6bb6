/* Opening a model on machines without files: its weights are inside the artefact. The processor is not checked: it is
 * known when the firmware is linked. */
#include "core.h"

btc_status btc_open_artifact(const btc_artifact *a, btc_model *m, const char *weights_path, uint32_t flags) {
    (void)weights_path; /* weights are inside */
    if (!m || (flags & ~(uint32_t)BTC_OPEN_POPULATE)) return BTC_E_ARGUMENT;
    *m = (btc_model){.artifact = a, .weights = a->weights, .magic = BTC_MODEL_MAGIC};
    return BTC_OK;
}

void btc_close(btc_model *m) {
    if (btc_artifact_of(m)) *m = (btc_model){0};
}

const char *btc_cpu_lacks(const btc_artifact *a) {
    (void)a;
    return NULL;
}
