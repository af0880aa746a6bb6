/* See formula.h. */
#include "formula.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int split_words(Arena *a, const char *text, const char ***out) {
    int n = 0, cap = 0;
    *out = NULL;
    while (*(text += strspn(text, " "))) {
        size_t length = strcspn(text, " ");
        ARENA_PUSH(a, *out, n, cap, arena_strndup(a, text, length));
        text += length;
    }
    return n;
}

typedef struct Named {
    const char *name;
    int node;
} Named;

typedef struct Parse {
    Arena *a;
    Formula *f;
    Named *names;
    int nnames, names_cap;
    int *stack;
    int depth, stack_cap;
} Parse;

static int add(Parse *p, FormulaNode node) {
    ARENA_PUSH(p->a, p->f->nodes, p->f->n, p->f->cap, node);
    return p->f->n - 1;
}

static void push(Parse *p, int node) {
    ARENA_PUSH(p->a, p->stack, p->depth, p->stack_cap, node);
}

static void name(Parse *p, const char *word, int node) {
    ARENA_PUSH(p->a, p->names, p->nnames, p->names_cap, ((Named){word, node}));
}

static int named(const Parse *p, const char *word) {
    for (int i = p->nnames - 1; i >= 0; i--)
        if (!strcmp(p->names[i].name, word)) return p->names[i].node;
    return -1;
}

static const char *apply(Parse *p, const OpDef *def) {
    int n = signature_of(p->a, def)->nin;
    FormulaNode node = {.op = def, .input = -1};
    if (n > FORMULA_OPERANDS) BTC_BUG("%s takes %d operands", def->name, n);
    if (p->depth < n) return arena_printf(p->a, "%s lacks an operand", def->name);
    p->depth -= n;
    for (int i = 0; i < n; i++) node.in[i] = p->stack[p->depth + i];
    push(p, add(p, node));
    return NULL;
}

static const char *read_word(Parse *p, const char *word) {
    char *end;
    double v = strtod(word, &end);
    const OpDef *def = elementwise_find(word);
    if (*word == '=') {
        if (!p->depth) return arena_printf(p->a, "there is nothing to be named %s", word + 1);
        name(p, word + 1, p->stack[--p->depth]);
        return NULL;
    }
    if (def) return apply(p, def);
    int node = named(p, word);
    if (node >= 0) return push(p, node), NULL;
    if (isalpha((unsigned char)*word) || *end) return arena_printf(p->a, "unknown name \"%s\"", word);
    const char *wrong = number_wrong(p->a, v, NULL);
    if (wrong) return wrong;
    push(p, add(p, (FormulaNode){.input = -1, .number = v}));
    return NULL;
}

const char *formula_read(Arena *a, const char *text, const char *const *inputs, int nin,
                         const char *const *outputs, int nout, Formula *f) {
    *f = (Formula){.out = ARENA_ARRAY(a, int, nout)};
    Parse p = {.a = a, .f = f};
    const char **words;
    for (int i = 0; i < nin; i++) {
        if (elementwise_find(inputs[i]))
            return arena_printf(a, "\"%s\" is the name of a function", inputs[i]);
        if (named(&p, inputs[i]) >= 0) return arena_printf(a, "two things have the name \"%s\"", inputs[i]);
        name(&p, inputs[i], add(&p, (FormulaNode){.input = i}));
    }
    int n = split_words(a, text, &words);
    for (int i = 0; i < n; i++) {
        const char *wrong = read_word(&p, words[i]);
        if (wrong) return wrong;
    }
    if (p.depth) return "computes what gets no name";
    for (int i = 0; i < nout; i++) {
        bool given = false;
        for (int k = 0; k < n; k++) given |= *words[k] == '=' && !strcmp(words[k] + 1, outputs[i]);
        if (!given) return arena_printf(a, "gives no \"%s\"", outputs[i]);
        f->out[i] = named(&p, outputs[i]);
    }
    return NULL;
}

void formula_eval(const Formula *f, Arena *scratch, int64_t n, double *const *in, double *const *out,
                  int nout) {
    Type t = type_tensor(DT_F32, false, 1, &n);
    Tensor *values = ARENA_ARRAY(scratch, Tensor, f->n);
    for (int i = 0; i < f->n; i++) {
        const FormulaNode *node = &f->nodes[i];
        values[i] = (Tensor){.type = t, .rows = 1};
        if (!node->op && node->input >= 0) {
            values[i].data = in[node->input];
            continue;
        }
        values[i].data = ARENA_ARRAY(scratch, double, n);
        if (!node->op) {
            for (int64_t k = 0; k < n; k++) values[i].data[k] = node->number;
            continue;
        }
        Tensor operands[FORMULA_OPERANDS];
        for (int k = 0; k < FORMULA_OPERANDS; k++) operands[k] = values[node->in[k]];
        EvalCtx c = {.in = operands, .out = &values[i], .rows = 1, .scratch = scratch};
        node->op->eval(&c);
    }
    for (int i = 0; i < nout; i++) memcpy(out[i], values[f->out[i]].data, sizeof(double) * (size_t)n);
}
