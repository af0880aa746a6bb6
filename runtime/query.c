/* The exported symbol and the table behind it. */
#include "core.h"

#define EXPORT __attribute__((visibility("default")))

static btc_status open_this(btc_model *m, const char *weights_path, uint32_t flags) {
    return btc_open_artifact(&btc_artifact_data, m, weights_path, flags);
}

static size_t work_bytes_this(int32_t threads) {
    return btc_work_bytes(&btc_artifact_data, threads);
}

const char *btc_status_text(const btc_artifact *a, btc_status status) {
    const char *lacks;
    switch (status) {
    case BTC_OK:
        return "no error";
    case BTC_E_ARGUMENT:
        return "wrong argument: memory that is null, misaligned, overlapping, too small or used by another "
               "call, or a number out of its limits";
    case BTC_E_RANGE:
        return "a token id is not in the model's vocabulary";
    case BTC_E_LENGTH:
        return "the sequence would be longer than the model's context";
    case BTC_E_STATE:
        return "the state is damaged or belongs to another model";
    case BTC_E_VERSION:
        return "the data was written by an incompatible version";
    case BTC_E_WEIGHTS:
        return "the weights file is of another model";
    case BTC_E_CPU:
        lacks = btc_cpu_lacks(a);
        return lacks ? lacks : "the processor lacks instructions that the model was compiled to";
    case BTC_E_THREADS:
        return "no threads to be had: the limits of processes or memory are reached, or OpenMP does not know "
               "of a fork; fewer may do, and one will";
    case BTC_E_MISSING:
        return "the weights file is missing";
    case BTC_E_READ:
        return "the weights file cannot be read";
    case BTC_E_SIZE:
        return "the weights file does not have the size that it should have: it is cut off, or too long";
    case BTC_E_MEMORY:
        return "the weights file is too large for the memory of this process";
    case BTC_E_DAMAGED:
        return "the weights file is damaged: its checksum is another";
    case BTC_E_WHOLE:
        return "the model reads whole sequences: one call of prefill takes all rows, behind init; no step, "
               "no going on, no state to keep";
    }
    return "unknown status";
}

static const char *status_text_this(btc_status status) {
    return btc_status_text(&btc_artifact_data, status);
}

static const btc_api api = {
    .version = BTC_ABI_VERSION,
    .size = sizeof(btc_api),
    .info = &btc_artifact_data.info,
    .open = open_this,
    .close = btc_close,
    .work_bytes = work_bytes_this,
    .init = btc_init,
    .prefill = btc_prefill,
    .prefill_all = btc_prefill_all,
    .step = btc_step,
    .position = btc_position,
    .save = btc_save,
    .restore = btc_restore,
    .fork = btc_fork,
    .status_text = status_text_this,
    .prefill_probes = btc_prefill_probes,
    .step_probes = btc_step_probes,
    .work_init = btc_work_init,
    .state_used = btc_state_used,
};

/* Tables only grow, so one for a newer version serves older hosts. */
EXPORT const btc_api *btc_query(uint32_t version) {
    return version >= 1 && version <= BTC_ABI_VERSION ? &api : NULL;
}
