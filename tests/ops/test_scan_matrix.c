/* Both forms of scan.matrix against the interpreter, each asked for by name: small and large states, decays from none to
 * all at once, per head and per channel, corrections along keys and along others, several writes and reads of a token,
 * numbers that are not finite.
 *
 * BTC_SEED=N draws others. */
#include "follow.h"

static int64_t one_from(Rng *r, const int64_t *list, int n) {
    return list[rng_int(r, 0, n - 1)];
}

static Value *rows(Kit *k, int64_t rows, int64_t width, Domain d, double p) {
    return kit_activation(k, type_tensor(DT_F32, true, 2, (int64_t[]){rows, width}), d, p);
}

static Attr *number(Kit *k, Attr *list, const char *name, double v) {
    attr_set(k->a, &list, (Attr){.name = name, .kind = AT_FLOAT, .f = v});
    return list;
}

/* One instance in main. chunked: only what that form can compute. */
static void draw_scan(Kit *k, bool chunked, int label) {
    static const int64_t widths[] = {1, 3, 8, 16, 17, 33, 64, 100, 136}, heads[] = {1, 2, 3};
    Rng *r = &k->r;
    int64_t n = one_from(r, widths, 9), p = one_from(r, widths, 9), g = one_from(r, heads, 3),
            h = g * rng_int(r, 1, 2);
    bool decays = rng_int(r, 0, 3) > 0, channel = decays && rng_int(r, 0, 2) > 0, before = rng_int(r, 0, 1);
    bool bounded = channel && rng_int(r, 0, 2) == 0;
    int64_t writes = rng_int(r, 0, 2) ? 1 : rng_int(r, 2, 3), reads = rng_int(r, 0, 2) ? 1 : rng_int(r, 2, 3);
    if (channel && chunked) writes = 1;
    double least = bounded ? rng_float(r, -4, -0.05) : 0, small = 0.4 / sqrt((double)n * (double)writes);
    int corrects = (int)rng_int(r, 0, 2);
    Value *in[7] = {rows(k, g * reads, n, LIVELY, 0), rows(k, g * writes, n, LIVELY, 0),
                    rows(k, h * writes, p, LIVELY, 0)};
    if (decays) in[3] = rows(k, h, channel ? n : 1, DECAY, least);
    if (corrects) in[4] = rows(k, h * writes, n, SMALL, small);
    if (corrects > 1) in[5] = rows(k, h * writes, n, SMALL, small);
    if (before && writes == 1 && reads == 1 && rng_int(r, 0, 1))
        in[6] = kit_weight(k, type_tensor(DT_F32, false, 2, (int64_t[]){h, n}), LIVELY, 0);
    Attr *at = kit_attr(k, kit_attr(k, NULL, "writes", writes), "reads", reads);
    if (bounded) at = number(k, at, "min_decay", least);
    attr_set(k->a, &at, (Attr){.name = "read", .kind = AT_STR, .s = before ? "before" : "after"});
    Op *op = kit_op(k, k->main, "scan.matrix", in, 7, at);
    if (CHECK(op != NULL)) add_results(k, &op_scan_matrix, op, arena_printf(k->a, "scan.matrix#%d", label));
}

static void (*const followed[])(Case *) = {follow_chunks, follow_steps, NULL};

static bool case_agrees(const Variant *v, bool spoilt) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, false), .slack = 1};
    c.k.spoilt = spoilt;
    for (int i = 0; i < v->instances; i++) draw_scan(&c.k, strstr(v->algorithm, "chunked"), i);
    return agrees(&c, v, v->state ? followed : compared);
}

int main(void) {
    static const Variant variants[] = {
        {.storage = DT_F32, .chunk = 61, .instances = 12, .seed = 1},
        {.cpu = "x86-64-v3", .storage = DT_F32, .chunk = 24, .instances = 8, .seed = 2},
        {.cpu = "x86-64-v2", .storage = DT_F32, .chunk = 40, .instances = 8, .seed = 3},
        {.storage = DT_F32, .chunk = 7, .instances = 8, .seed = 4},
        {.storage = DT_F32, .chunk = 48, .instances = 8, .seed = 5, .state = "bf16"},
    };
    int rounds = check_amount() == CHECK_ALL ? 20 : 1;
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
            for (int form = 0; form < 2; form++) {
                Variant v = variants[i];
                bool ok, spoilt = !v.state && (round + (int)i) % 3 == 2;
                v.algorithm = form ? "scan.matrix:recurrent" : "scan.matrix:chunked",
                v.seed += 100 * (uint64_t)round;
                if (in_child(&ok)) _exit(case_agrees(&v, spoilt) ? 0 : 1);
                if (!CHECK(ok))
                    fprintf(stderr, "    %s, cpu %s, chunk %d, seed %d%s\n", v.algorithm,
                            v.cpu ? v.cpu : "native", v.chunk, (int)v.seed, spoilt ? ", spoilt" : "");
            }
    return check_report("scan.matrix");
}
