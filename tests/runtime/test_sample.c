/* How programs choose tokens: greedy, top-k, top-p, seeds, and that frequencies follow probabilities. */
#include <math.h>

#include "runtime/sample.h"
#include "tools/check.h"

enum { V = 50, DRAWS = 20000 };

static SampleItem items[V];

static Sampler sampler(double temperature, int64_t top_k, double top_p, uint64_t seed) {
    Sampler s = {.temperature = temperature, .top_k = top_k, .top_p = top_p, .items = items};
    sampler_seed(&s, seed);
    return s;
}

/* Draws often; share [V] of each id. */
static void shares(Sampler s, const float *logits, double *share) {
    for (int i = 0; i < V; i++) share[i] = 0;
    for (int i = 0; i < DRAWS; i++) share[sampler_pick(&s, logits, V)] += 1.0 / (double)DRAWS;
}

/* A logit that is NaN or -Inf is never drawn, and the others keep their shares; what decides nothing is told.
 */
static void check_not_finite(void) {
    static const double temperatures[] = {0, 1e-320, 1e-9, 1, 1000};
    static const int64_t ks[] = {0, 1, 3, 40, V - 1, V};
    static const double ps[] = {0, 0.5, 0.999999, 1};
    float logits[V], sound[V];
    double share[V], other[V];
    for (int i = 0; i < V; i++) logits[i] = i % 3 ? (float)(i * 29 % V) * 0.1f : i % 2 ? NAN : -INFINITY;
    for (int i = 0; i < V; i++) sound[i] = i % 3 ? logits[i] : -1e30f;
    for (int t = 0; t < 5; t++)
        for (int k = 0; k < 6; k++)
            for (int p = 0; p < 4; p++) {
                Sampler s = sampler(temperatures[t], ks[k], ps[p], 3), r = s;
                for (int n = 0; n < 200; n++) {
                    int32_t id = sampler_pick(&s, logits, V);
                    CHECK(id >= 0 && id % 3 && id == sampler_pick(&r, sound, V));
                }
            }
    shares(sampler(1, 0, 1, 7), logits, share), shares(sampler(1, 0, 1, 7), sound, other);
    for (int i = 0; i < V; i++) CHECK(share[i] == other[i]);
    CHECK(sample_undefined(logits, V) == 8 && sample_undefined(sound, V) == 0);
    for (int i = 0; i < V; i++) {
        double bits = sample_bits(logits, V, i), want = sample_bits(sound, V, i);
        CHECK(i % 3 ? fabs(bits - want) < 1e-12 : i % 2 ? isnan(bits) : bits == INFINITY);
    }
    logits[5] = INFINITY;
    for (int t = 0; t < 5; t++) {
        Sampler s = sampler(temperatures[t], 3, 0.9, 3);
        CHECK(sampler_pick(&s, logits, V) == -1);
        for (int i = 0; i < V; i++) sound[i] = i % 2 ? NAN : -INFINITY;
        CHECK(sampler_pick(&s, sound, V) == -1);
        for (int i = 0; i < V; i++) sound[i] = NAN;
        CHECK(sampler_pick(&s, sound, V) == -1);
        sound[V - 1] = -3e38f;
        CHECK(sampler_pick(&s, sound, V) == V - 1);
    }
    CHECK(isnan(sample_bits(logits, V, 1)));
    float far[V];
    for (int i = 0; i < V; i++) far[i] = i == 7 ? 3e38f : -3e38f;
    Sampler s = sampler(1000, 0, 1, 3);
    CHECK(sampler_pick(&s, far, V) == 7 && sample_bits(far, V, 7) == 0);
}

int main(void) {
    float logits[V];
    double p[V], share[V], sum = 0;
    for (int i = 0; i < V; i++) logits[i] = (float)(i * 29 % V) * 0.1f; /* a permutation: 0 .. 4.9 */
    for (int i = 0; i < V; i++) sum += p[i] = exp((double)logits[i]);
    for (int i = 0; i < V; i++) p[i] /= sum;

    Sampler greedy = sampler(0, 0, 1, 1);
    int32_t best = sampler_pick(&greedy, logits, V);
    CHECK(best == 31); /* 31 * 29 % 50 == 49 */
    float ties[V] = {0};
    CHECK(sampler_pick(&greedy, ties, V) == 0);

    shares(sampler(1, 0, 1, 7), logits, share);
    for (int i = 0; i < V; i++) CHECK(fabs(share[i] - p[i]) < 0.01);

    shares(sampler(1, 3, 1, 7), logits, share); /* only the three best, in their proportion */
    double three = 0;
    int kept = 0;
    for (int i = 0; i < V; i++) kept += share[i] > 0;
    for (int i = 0; i < V; i++) three += share[i] > 0 ? p[i] : 0;
    CHECK(kept == 3 && share[best] > 0 && fabs(share[best] - p[best] / three) < 0.02);

    shares(sampler(1, 0, 0.5, 7), logits, share); /* the fewest whose share reaches one half */
    double mass = 0, least = 1;
    for (int i = 0; i < V; i++)
        if (share[i] > 0) mass += p[i], least = p[i] < least ? p[i] : least;
    CHECK(mass >= 0.5 && mass - least < 0.5);

    shares(sampler(1, 10, 0.3, 7), logits, share); /* top-p counts within the ten best */
    for (int i = 0; i < V; i++) CHECK(share[i] == 0 || logits[i] > 3.9f);
    CHECK(sampler_pick(&(Sampler){.temperature = 1, .top_p = 0, .items = items}, logits, V) == best);

    Sampler a = sampler(0.8, 0, 0.9, 3), b = sampler(0.8, 0, 0.9, 3), c = sampler(0.8, 0, 0.9, 4);
    int same = 0, other = 0;
    for (int i = 0; i < 100; i++) {
        int32_t x = sampler_pick(&a, logits, V);
        same += x == sampler_pick(&b, logits, V);
        other += x == sampler_pick(&c, logits, V);
    }
    CHECK(same == 100 && other < 50);

    double bits = 0;
    for (int i = 0; i < V; i++) bits += p[i] * sample_bits(logits, V, i);
    double entropy = 0;
    for (int i = 0; i < V; i++) entropy -= p[i] * log2(p[i]);
    CHECK(fabs(bits - entropy) < 1e-12);
    check_not_finite();
    return check_report("sample");
}
