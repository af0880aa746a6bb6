/* Recurrent cells: the output of a token is an input of the next token, through a matrix and a nonlinear function. So
 * tokens can only be computed one after the other. The function is a formula over the gates of a channel; the formula
 * makes this op an LSTM, a GRU or another cell. */
#include "scan_cell.h"
#include "common.h"

CellShape cell_shape(const Op *op) {
    const int64_t *w = op->in[CELL_W]->type.dim;
    CellShape s = {.n = w[0], .g = w[1], .d = w[2], .i = w[3], .projected = op->in[CELL_PROJ] != NULL};
    s.e = s.n * s.d, s.p = s.n * s.i;
    for (const char *p = attr_str(op, "keeps", ""); *(p += strspn(p, " ")); p += strcspn(p, " ")) s.kept++;
    return s;
}

#define LSTM "f sigmoid c mul i sigmoid g tanh mul add =c o sigmoid c tanh mul =y"

const char *cell_formula(Arena *a, const Op *op, Formula *f) {
    CellShape s = cell_shape(op);
    const char **gates, **kept, **in, **out;
    int g = split_words(a, attr_str(op, "gates", ""), &gates);
    int k = split_words(a, attr_str(op, "keeps", ""), &kept), n = 0;
    if (g != s.g) return arena_printf(a, "has %d gates, the matrix has %lld", g, (long long)s.g);
    in = ARENA_ARRAY(a, const char *, 3 * g + k + 1), out = ARENA_ARRAY(a, const char *, k + 1);
    for (int j = 0; j < g; j++) {
        in[n++] = gates[j];
        in[n++] = arena_printf(a, "%s_x", gates[j]), in[n++] = arena_printf(a, "%s_w", gates[j]);
    }
    if (!s.projected) in[n++] = "y";
    for (int j = 0; j < k; j++) in[n++] = out[j] = kept[j];
    out[k] = "y";
    return formula_read(a, attr_str(op, "cell", ""), in, n, out, k + 1, f);
}

static bool infer_scan_cell(Diag *d, Func *f, Op *op) {
    CellShape s = cell_shape(op);
    Formula formula;
    if (s.projected && (s.n != 1 || op->in[CELL_PROJ]->type.dim[0] != s.i))
        return diag_error(
            d, op->loc,
            "scan.cell: proj gives %lld numbers, w takes %lld blocks of %lld; it must be one block",
            (long long)op->in[CELL_PROJ]->type.dim[0], (long long)s.n, (long long)s.i);
    if (!s.projected && s.d != s.i)
        return diag_error(d, op->loc,
                          "scan.cell: w takes %lld numbers, and gives %lld for each gate; without proj they "
                          "must be as many",
                          (long long)s.i, (long long)s.d);
    const char *wrong = cell_formula(f->module->arena, op, &formula);
    return !wrong || diag_error(d, op->loc, "scan.cell: attribute cell: %s", wrong);
}

typedef struct Cell {
    CellShape s;
    Formula f;
    const double *w, *b, *proj;
    double **in, **out; /* of the formula, [e] each */
} Cell;

static Cell cell_new(EvalCtx *c) {
    Cell k = {.s = cell_shape(c->op),
              .w = c->in[CELL_W].data,
              .b = c->in[CELL_B].data,
              .proj = c->in[CELL_PROJ].data};
    if (cell_formula(c->scratch, c->op, &k.f)) BTC_BUG("scan.cell: not checked");
    int n = cell_input_kept(&k.s) + k.s.kept;
    k.in = ARENA_ARRAY(c->scratch, double *, n), k.out = ARENA_ARRAY(c->scratch, double *, k.s.kept + 1);
    for (int i = 0; i < n; i++) k.in[i] = ARENA_ARRAY(c->scratch, double, k.s.e);
    for (int i = 0; i <= k.s.kept; i++) k.out[i] = ARENA_ARRAY(c->scratch, double, k.s.e);
    return k;
}

/* The gates: what x brings, what w makes of the last y, and their sum. */
static void set_gates(Cell *k, const double *x, const double *y) {
    const CellShape *s = &k->s;
    for (int64_t u = 0; u < s->n; u++)
        for (int64_t g = 0; g < s->g; g++)
            for (int64_t c = 0; c < s->d; c++) {
                const double *row = k->w + ((u * s->g + g) * s->d + c) * s->i;
                int64_t at = u * s->d + c;
                double sum = k->b ? k->b[g * s->e + at] : 0;
                for (int64_t i = 0; i < s->i; i++) sum += row[i] * y[u * s->i + i];
                k->in[3 * g + 1][at] = x[g * s->e + at], k->in[3 * g + 2][at] = sum;
                k->in[3 * g][at] = x[g * s->e + at] + sum;
            }
}

static void eval_scan_cell(EvalCtx *c) {
    Cell k = cell_new(c);
    const CellShape *s = &k.s;
    double *y = state_begin(&c->in[CELL_Y], &c->out[1]), *kept = state_begin(&c->in[CELL_KEPT], &c->out[2]);
    size_t row = sizeof(double) * (size_t)s->e;
    for (int64_t t = 0; t < c->rows; t++) {
        Arena *tmp = arena_new();
        set_gates(&k, tensor_row(&c->in[CELL_X], t), y);
        if (!s->projected) memcpy(k.in[cell_input_y(s)], y, row);
        for (int j = 0; j < s->kept; j++) memcpy(k.in[cell_input_kept(s) + j], kept + j * s->e, row);
        formula_eval(&k.f, tmp, s->e, k.in, k.out, s->kept + 1);
        for (int j = 0; j < s->kept; j++) memcpy(kept + j * s->e, k.out[j], row);
        const double *h = k.out[s->kept];
        for (int64_t o = 0; o < s->p; o++) {
            double sum = 0;
            for (int64_t i = 0; i < s->e && s->projected; i++) sum += k.proj[o * s->e + i] * h[i];
            y[o] = c->out[0].data[t * s->p + o] = s->projected ? sum : h[o];
        }
        arena_free(tmp);
    }
}

/* Ten operations for each function of the formula, as many as a gate has. */
static Cost cost_scan_cell(const Op *op, int64_t rows) {
    CellShape s = cell_shape(op);
    return op_cost(op, rows,
                   2 * in_count(op, CELL_W) + 2 * in_count(op, CELL_PROJ) + 12 * (double)(s.g * s.e));
}

static int64_t contracted_scan_cell(const Op *op) {
    return op->in[CELL_W]->type.dim[3];
}

static const AttrDef attrs[] = {
    {"gates", AT_STR, true, 0, "i f g o", "names of the gates, which x and w make, in order"},
    {"keeps", AT_STR, false, 0, "", "names of what is kept from token to token besides y"},
    {"cell", AT_FORMULA, true, 0, LSTM,
     "what becomes of a gate f (also of its parts f_x and f_w alone), of y and of what is kept: new values "
     "of y and of "
     "what is kept"},
    {0},
};

const OpDef op_scan_cell = {
    .name = "scan.cell",
    .pattern = PAT_SCAN,
    .doc = "Recurrent cell: a matrix times the last output, added to the gates of the token, and a function "
           "of them. "
           "With blocks each part of the output meets a matrix of its own.",
    .formula = "gates = x + w y + b;  (kept, h) = cell(gates, y, kept);  y = proj h, or h",
    .source = "Hochreiter and Schmidhuber 1997, Neural Computation 9(8); Cho et al. 2014, arXiv:1406.1078; "
              "Beck et al. "
              "2024, arXiv:2405.04517, eq. 8-18",
    .sig = "x[t,g,n*d] w[n,g,d,i] b?[g,n*d] proj?[p,n*d] -> y[t,n*i]",
    .state = "y[n*i] = 0; kept[keeps,n*d] = 0",
    .attrs = attrs,
    .infer = infer_scan_cell,
    .eval = eval_scan_cell,
    .cost = cost_scan_cell,
    .contracted = contracted_scan_cell,
    .tolerance = 1e-4, /* errors go round through the matrix */
};
