/* Choosing the next token in a program. The same seed, options and logits give the same token everywhere. */
#ifndef BTC_SAMPLE_H
#define BTC_SAMPLE_H

#include <stdint.h>

typedef struct SampleItem {
    double weight;
    int32_t id;
} SampleItem;

typedef struct Sampler {
    double temperature; /* 0: the most likely token */
    int64_t top_k;      /* 0: all */
    double top_p;       /* 1: all */
    uint64_t rng[4];
    SampleItem *items; /* [vocab] scratch, the caller's; unused when temperature is 0 */
} Sampler;

void sampler_seed(Sampler *s, uint64_t seed);
/* A token by logits [vocab]: first temperature, then the top_k best, then the fewest of these whose share
 * reaches top_p. Equal logits: the lower id counts as better. A logit that is -Inf or NaN is never chosen,
 * and changes nothing for the others. -1: no logit is finite, or one is +Inf, so that nothing can be chosen.
 */
int32_t sampler_pick(Sampler *s, const float *logits, int64_t vocab);

/* -log2 of the probability that logits [vocab] give to id, of those that are not NaN. NaN: there is no such
 * number, because the one of id is NaN, or sampler_pick could not choose. */
double sample_bits(const float *logits, int64_t vocab, int32_t id);
/* How many of the logits are NaN. */
int64_t sample_undefined(const float *logits, int64_t vocab);

#endif
