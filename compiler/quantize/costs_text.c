/* Prints costs, as a table and as JSON. Tensors that differ only in the layer share a row. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "costs.h"
#include "desc/json.h"

/* Tensors of one kind under one format. */
typedef struct Kind {
    const char *name;
    Type type;
    MatrixCost cost;
    int tensors;
} Kind;

static bool same_kind(const Kind *k, const Matrix *m, const MatrixCost *c) {
    return !strcmp(k->name, m->kind) && type_equal(k->type, m->type) && k->cost.format == c->format;
}

static int list_kinds(const Costs *c, int format, Kind *out) {
    int n = 0;
    for (int i = 0; i < c->collected.matrices.n; i++) {
        const Matrix *m = &c->collected.matrices.items[i];
        const MatrixCost *x = &c->matrices[format][i];
        int k = 0;
        while (k < n && !same_kind(&out[k], m, x)) k++;
        if (k == n)
            out[n++] = (Kind){.name = m->kind, .type = m->type, .cost = *x, .tensors = 1};
        else {
            out[k].tensors++;
            out[k].cost.plain = error_sum(out[k].cost.plain, x->plain);
            out[k].cost.calibrated = error_sum(out[k].cost.calibrated, x->calibrated);
        }
    }
    return n;
}

static const char *shape_text(Arena *a, Type t) {
    Text s = text_new(a);
    for (int i = 0; i < t.rank; i++) text_add(&s, "%s%lld", i ? "x" : "", (long long)t.dim[i]);
    return s.s;
}

/* s, or its end behind "..", when it is longer than width: names of tensors differ at the end. */
static const char *end_of(Arena *a, const char *s, size_t width) {
    size_t n = strlen(s);
    return n > width ? arena_printf(a, "..%s", s + n - width + 2) : s;
}

static void add_kind(Arena *a, Text *t, const Costs *c, const Kind *k) {
    text_add(t, "  %-34s %11s %5d  %-5s", end_of(a, k->name, 34), shape_text(a, k->type), k->tensors,
             k->cost.format->name);
    if (!k->cost.measured) {
        text_add(t, "%6.2f   kept\n", format_bits(k->cost.format));
        return;
    }
    text_add(t, "%6.2f %8.3f %%", format_bits(k->cost.format), 100 * error_relative(k->cost.plain.weights));
    if (k->cost.plain.outputs[1] > 0) {
        text_add(t, " %7.3f %%", 100 * error_relative(k->cost.plain.outputs));
        if (c->calibrated) text_add(t, " %7.3f %%", 100 * error_relative(k->cost.calibrated.outputs));
    }
    text_add(t, "\n");
}

static void add_matrices(Arena *a, Text *t, const Costs *c) {
    Kind *kinds = ARENA_ARRAY(a, Kind, c->collected.matrices.n);
    for (int f = 0; f < c->options->nformats; f++) {
        text_add(t, "\n--quant=%s\n  %-34s %11s %5s  %-5s%6s %10s %9s%s\n", c->options->formats[f], "matrix",
                 "shape", "count", "as", "bits", "weights", "output", c->calibrated ? "  calibr'd" : "");
        int n = list_kinds(c, f, kinds);
        for (int i = 0; i < n; i++) add_kind(a, t, c, &kinds[i]);
    }
}

static void add_model(Arena *a, Text *t, const Costs *c, const ModelCost *m) {
    const Comparison *x = &c->comparison;
    bool compared = m != c->models;
    const char *name = m->bf16_dot     ? "bf16 arithmetic"
                       : !m->format    ? "unquantised"
                       : m->calibrated ? arena_printf(a, "%s, calibrated", m->format)
                                       : m->format;
    const char *size = units_bytes(a, (double)m->weights_bytes);
    text_add(t, "  %-18s %10s %6.2f", name, size, m->bits);
    if (compared) text_add(t, " %10.2e", m->point.error);
    if (x->tokens && compared) text_add(t, "%12.2e%8.1f %%", m->point.divergence, 100 * m->point.agreement);
    if (x->text) text_add(t, "%*.4f", compared ? 12 : 45, m->point.bits[1]);
    text_add(t, "\n");
}

const char *costs_text(Arena *a, const Costs *c) {
    const Comparison *x = &c->comparison;
    Text t = text_new(a);
    text_add(&t, "%s, %s, %d tokens\n", x->name, tokens_name(&c->options->source, x->tokens), x->lengths[0]);
    text_add(
        &t,
        "errors of matrices are relative, in the root mean square: of their numbers, and of what products\n"
        "give, over some of the first %lld tokens\n",
        (long long)c->collected.tokens);
    add_matrices(a, &t, c);
    text_add(&t, "\n  %-18s %10s %6s %10s", "the whole model", "weights", "bits", "error");
    if (x->tokens) text_add(&t, "%12s%10s", "KL, bits", "same");
    if (x->text) text_add(&t, "%12s", "bits/token");
    text_add(&t, "\n");
    for (int i = 0; i < c->nmodels; i++) add_model(a, &t, c, &c->models[i]);
    return t.s;
}

/* ---- JSON ---- */

static void add_errors(cJSON *to, const char *name, const MatrixError *e) {
    cJSON *x = cJSON_AddObjectToObject(to, name);
    cJSON_AddNumberToObject(x, "weights", error_relative(e->weights));
    if (e->outputs[1] > 0) cJSON_AddNumberToObject(x, "outputs", error_relative(e->outputs));
}

static cJSON *matrix_json(Arena *a, const Costs *c, int i) {
    const Matrix *m = &c->collected.matrices.items[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", m->name);
    cJSON_AddStringToObject(o, "shape", shape_text(a, m->type));
    cJSON *formats = cJSON_AddObjectToObject(o, "quant");
    for (int f = 0; f < c->options->nformats; f++) {
        const MatrixCost *x = &c->matrices[f][i];
        cJSON *y = cJSON_AddObjectToObject(formats, c->options->formats[f]);
        cJSON_AddStringToObject(y, "storage", x->format->name);
        cJSON_AddNumberToObject(y, "bits", format_bits(x->format));
        if (x->measured) add_errors(y, "error", &x->plain);
        if (x->measured && c->calibrated) add_errors(y, "error_calibrated", &x->calibrated);
    }
    return o;
}

static cJSON *model_json(const Costs *c, const ModelCost *m) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "quant", m->format ? m->format : "none");
    if (m->bf16_dot) cJSON_AddStringToObject(o, "math", "bf16");
    cJSON_AddBoolToObject(o, "calibrated", m->calibrated);
    cJSON_AddNumberToObject(o, "weights_bytes", (double)m->weights_bytes);
    cJSON_AddNumberToObject(o, "bits", m->bits);
    if (m != c->models) cJSON_AddNumberToObject(o, "error", m->point.error);
    if (m != c->models && c->comparison.tokens) {
        cJSON_AddNumberToObject(o, "divergence_bits", m->point.divergence);
        cJSON_AddNumberToObject(o, "same", m->point.agreement);
    }
    if (c->comparison.text) cJSON_AddNumberToObject(o, "bits_per_token", m->point.bits[1]);
    return o;
}

const char *costs_json(Arena *a, const Costs *c) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", c->comparison.name);
    cJSON_AddStringToObject(root, "tokens_of", tokens_name(&c->options->source, c->comparison.tokens));
    cJSON_AddNumberToObject(root, "tokens", c->comparison.lengths[0]);
    cJSON *models = cJSON_AddArrayToObject(root, "models");
    for (int i = 0; i < c->nmodels; i++) cJSON_AddItemToArray(models, model_json(c, &c->models[i]));
    cJSON *matrices = cJSON_AddArrayToObject(root, "matrices");
    for (int i = 0; i < c->collected.matrices.n; i++) cJSON_AddItemToArray(matrices, matrix_json(a, c, i));
    const char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
