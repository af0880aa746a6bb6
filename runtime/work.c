/* The work block of a call: a label, what running needs (run.h), the probe pointers, then
 * what emitted code sees (shared part, thread parts). The label says for how many bytes and which model the
 * host has made it. */
#include "core.h"

#include "run.h"

#define WORK_MAGIC 0x4b524f5743544221u /* "!BTCWORK" as bytes */

/* The seal holds the block's own address, and stands where allocators write first when memory is freed: what
 * an older block has left behind passes for a label only at its own place and while it is whole. */
typedef struct Label {
    uint64_t seal;
    uint64_t bytes; /* of the whole block */
    uint64_t model; /* fingerprint */
    uint64_t sum;   /* of the three */
    uint64_t taken; /* a call is at it */
    char pad[BTC_LABEL_BYTES - 5 * sizeof(uint64_t)];
} Label;
_Static_assert(sizeof(Label) == BTC_LABEL_BYTES, "a barrier behind it has its own lines");

enum { OWN_BYTES = BTC_LABEL_BYTES + BTC_RUN_BYTES };

static size_t round_up(size_t n) {
    return (n + BTC_ALIGN - 1) / BTC_ALIGN * BTC_ALIGN;
}

size_t btc_work_own(const btc_artifact *a) {
    return OWN_BYTES + round_up((size_t)a->info.probe_count * sizeof(float *));
}

size_t btc_work_bytes(const btc_artifact *a, int32_t threads) {
    if (threads < 1 || threads > BTC_MAX_THREADS) return 0;
    return btc_work_own(a) + (size_t)a->info.work_shared + (size_t)threads * (size_t)a->info.work_thread;
}

static uint64_t seal_at(const void *work) {
    return WORK_MAGIC ^ ((uint64_t)(uintptr_t)work * 0x9e3779b97f4a7c15u);
}

static uint64_t sum_of(const Label *l) {
    return ((l->seal ^ l->bytes) * 0xff51afd7ed558ccdu ^ l->model) * 0xc4ceb9fe1a85ec53u;
}

btc_status btc_work_init(const btc_model *m, void *work, size_t bytes) {
    const btc_artifact *a = btc_artifact_of(m);
    if (!a || !btc_aligned(work) || bytes < btc_work_bytes(a, 1)) return BTC_E_ARGUMENT;
    Label *l = work;
    *l = (Label){.seal = seal_at(work), .bytes = bytes, .model = a->info.fingerprint};
    l->sum = sum_of(l);
    return BTC_OK;
}

static bool is_labelled(const void *work) {
    const Label *l = work;
    return l->seal == seal_at(work) && l->sum == sum_of(l);
}

bool btc_work_take(void *work) {
    return !is_labelled(work) || btc_take(&((Label *)work)->taken);
}

void btc_work_give_back(void *work) {
    if (is_labelled(work)) btc_give_back(&((Label *)work)->taken);
}

bool btc_work_serves(const btc_artifact *a, const void *work, int32_t threads) {
    const Label *l = work;
    if (!is_labelled(work)) return true; /* the host answers for it */
    return l->model == a->info.fingerprint && l->bytes >= btc_work_bytes(a, threads);
}

void *btc_work_run(void *work) {
    return (char *)work + sizeof(Label);
}

float **btc_work_probes(void *work) {
    return (float **)(void *)((char *)work + OWN_BYTES);
}
