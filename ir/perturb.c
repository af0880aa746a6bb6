/* See perturb.h. */
#include "perturb.h"

#include <math.h>

static const double UNIT = 0x1p-24;

/* Either sign, and from one half to 1: where one error decides, a run must not be off by nearly nothing. Random
 * bits: splitmix64. */
static double next(Perturb *p) {
    uint64_t z = p->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    double size = 0.5 + (double)(z >> 12) * 0x1p-53;
    return p->sign * (z & 1 ? size : -size);
}

double perturb_relative(Perturb *p, double x, double relative) {
    double e = next(p); /* drawn in any case, so that the runs of a pair stay together */
    return isfinite(x) ? x + x * relative * e : x;
}

double perturb_absolute(Perturb *p, double x, double most) {
    double e = next(p);
    return isfinite(x) ? x + copysign(most, e) : x;
}

double perturb_angle(Perturb *p, double angle) {
    return perturb_absolute(p, angle, 4 * UNIT * fmin(fabs(angle), 3.2));
}

double perturb_transformed(Perturb *p, double y, int64_t n, double x_squares, double h_squares) {
    return perturb_absolute(p, y, UNIT * sqrt(log2(2.0 * (double)n) * x_squares * h_squares));
}

/* How many terms the sums of an op have: a product's in a row, where the errors of each term matter; others
 * add up in lanes, and their terms share what is off. */
double perturb_size(const Op *op, int64_t rows) {
    enum { ELEMENTARY = 4 }; /* exp, tanh .. are off by some units of the last place */
    const OpDef *def = op->def;
    double n = 1;
    for (int i = 0; i < op->nin; i++) {
        const Type t = op->in[i] ? op->in[i]->type : (Type){0};
        if (t.rank > 0) n = fmax(n, (double)t.dim[t.rank - 1]);
    }
    if (def->contracted) return ELEMENTARY * UNIT * fmax(1, sqrt((double)def->contracted(op)));
    if (def->pattern == PAT_ELEMENTWISE) return ELEMENTARY * UNIT;
    if (def->pattern != PAT_ROW) n = fmax(n, (double)rows);
    return ELEMENTARY * UNIT * (1 + sqrt(n) / (def->pattern == PAT_SCAN ? 1 : 4));
}

static bool is_number(const Tensor *t) {
    return t->data && t->type.dt == DT_F32;
}

/* Results that are the operands' own numbers. */
static bool only_moves(const OpDef *def) {
    return def->pattern == PAT_VIEW || def->pattern == PAT_LEAF || def->pattern == PAT_GATHER;
}

static void perturb_tensor(Perturb *p, Tensor *t, double size) {
    int64_t n = t->rows * type_count(t->type);
    for (int64_t i = 0; i < n; i++) t->data[i] = perturb_relative(p, t->data[i], size);
}

void perturb_operands(Perturb *p, Arena *a, const Op *op, int64_t rows, Tensor *in) {
    const OpDef *def = op->def;
    if (only_moves(def) || (def->flags & OPF_CHOOSES)) return;
    for (int i = 0; i < op->nin; i++) {
        bool product = def->pattern == PAT_CONTRACT && (i == 0 || in[i].type.rank >= 2);
        if (!is_number(&in[i]) || product) continue;
        in[i].data =
            arena_copy(a, in[i].data, sizeof(double) * (size_t)(in[i].rows * type_count(in[i].type)));
        perturb_tensor(p, &in[i], perturb_size(op, rows));
    }
}

/* Sums that were rounded on the way, when they may have been larger: by the type of states, of the largest.
 */
static void perturb_sums(Perturb *p, Tensor *t) {
    int64_t n = t->rows * type_count(t->type);
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(t->data[i]));
    for (int64_t i = 0; i < n; i++) t->data[i] = perturb_absolute(p, t->data[i], p->state * most);
}

void perturb_results(Perturb *p, const Op *op, int64_t rows, Tensor *out) {
    for (int i = 0; i < op->nout && !only_moves(op->def); i++)
        if (is_number(&out[i])) perturb_tensor(p, &out[i], perturb_size(op, rows));
    if (op->def->flags & OPF_KEEPS_SUMS && p->state > 0) perturb_sums(p, &out[0]);
}
