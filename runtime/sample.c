/* Sampling: xoshiro256** seeded by splitmix64 (Blackman and Vigna), and a heap for top-k and top-p, so that a
 * large vocabulary is not sorted for the sake of its few best tokens. */
#include "sample.h"

#include <math.h>
#include <stdbool.h>

static uint64_t rotl(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

void sampler_seed(Sampler *s, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        s->rng[i] = z ^ z >> 31;
    }
}

/* In [0, 1). */
static double uniform(Sampler *s) {
    uint64_t *r = s->rng, result = rotl(r[1] * 5, 7) * 9, t = r[1] << 17;
    r[2] ^= r[0], r[3] ^= r[1], r[1] ^= r[2], r[0] ^= r[3];
    r[2] ^= t;
    r[3] = rotl(r[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* -1: there is none that is finite, or some is +Inf, beside which no other has a share. */
static int32_t best_of(const float *logits, int64_t vocab) {
    int64_t best = -1;
    for (int64_t i = 0; i < vocab; i++)
        if (best < 0 ? logits[i] > -INFINITY : logits[i] > logits[best]) best = i;
    return best >= 0 && logits[best] < INFINITY ? (int32_t)best : -1;
}

/* The weight of a logit beside the best one, which has 1. Less than 1e-299 is never drawn and changes no sum;
 * the C library takes several times as long to say how little it is. A NaN has no weight. */
static double weight_of(float logit, float best, double temperature) {
    double x = ((double)logit - (double)best) / temperature;
    return x >= -690 ? exp(x) : 0;
}

int64_t sample_undefined(const float *logits, int64_t vocab) {
    int64_t n = 0;
    for (int64_t i = 0; i < vocab; i++) n += isnan(logits[i]) != 0;
    return n;
}

static bool better(SampleItem a, SampleItem b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

/* A heap with the best item at 0: puts v[i] in its place below. */
static void sift_down(SampleItem *v, int64_t n, int64_t i) {
    SampleItem x = v[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(v[child + 1], v[child])) child++;
        if (!better(v[child], x)) break;
        v[i] = v[child];
    }
    v[i] = x;
}

/* Takes the best item out of the heap; it then stands at v[n-1]. */
static void pop(SampleItem *v, int64_t n) {
    SampleItem best = v[0];
    v[0] = v[n - 1];
    sift_down(v, n - 1, 0);
    v[n - 1] = best;
}

/* Draws one of items v[0 .. n), from the end: there the best are. What rounding leaves of the sum at the end
 * goes to the last that has a weight. */
static int32_t draw(Sampler *s, const SampleItem *v, int64_t n, double total) {
    double u = uniform(s) * total;
    int32_t last = -1;
    for (int64_t i = n - 1; i >= 0 && u >= 0; i--) {
        if (!(v[i].weight > 0)) continue;
        u -= v[i].weight, last = v[i].id;
    }
    return last;
}

int32_t sampler_pick(Sampler *s, const float *logits, int64_t vocab) {
    int32_t best = best_of(logits, vocab);
    if (best < 0 || !(s->temperature > 0)) return best;
    SampleItem *v = s->items;
    double total = 0;
    for (int64_t i = 0; i < vocab; i++) {
        v[i] = (SampleItem){weight_of(logits[i], logits[best], s->temperature), (int32_t)i};
        total += v[i].weight;
    }
    bool use_k = s->top_k > 0 && s->top_k < vocab, use_p = s->top_p < 1;
    if (!use_k && !use_p) return draw(s, v, vocab, total);

    for (int64_t i = vocab / 2; i-- > 0;) sift_down(v, vocab, i);
    int64_t kept = 0;
    double sum = 0;
    for (int64_t limit = use_k ? s->top_k : vocab; kept < limit; kept++) {
        if (!use_k && sum >= s->top_p * total && kept) break; /* enough; the rest need not be ordered */
        pop(v, vocab - kept);
        sum += v[vocab - 1 - kept].weight;
    }
    SampleItem *first = v + vocab - kept; /* [kept], the best last */
    if (use_k && use_p) {                 /* top-p counts within the k best */
        double all = sum;
        sum = 0;
        int64_t n = 0;
        while (n < kept && (n == 0 || sum < s->top_p * all)) sum += first[kept - 1 - n++].weight;
        first += kept - n, kept = n;
    }
    return draw(s, first, kept, sum);
}

double sample_bits(const float *logits, int64_t vocab, int32_t id) {
    int32_t best = best_of(logits, vocab);
    if (best < 0) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++) sum += weight_of(logits[i], logits[best], 1);
    return ((double)logits[best] - (double)logits[id]) * 1.4426950408889634 + log2(sum);
}
