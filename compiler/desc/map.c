/* Maps: elementwise arithmetic in a string, such as
 *     x + gelu_tanh(g) * (y - 0.5*@scale[D])
 * A map becomes elementwise ops; arithmetic between numbers is done here. From loose to tight: comparisons,
 * + -, * /, unary -, ^ (from the right). */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "desc/lex.h"

/* A part of a map: a number until it meets a value. */
typedef struct Term {
    Value *v; /* NULL: number */
    double number;
    bool bad; /* filed */
} Term;

static const Term BAD = {.bad = true};

bool constant_fits(Diag *d, Loc loc, double v) {
    const char *wrong = number_wrong(d->arena, v, NULL);
    return !wrong || diag_error(d, loc, "%s", wrong);
}

Value *scope_constant(Scope *s, double v, Loc loc) {
    Arena *a = s->r->arena;
    if (!constant_fits(s->r->diag, loc, v)) return NULL;
    for (int i = 0; i < s->nconsts; i++)
        if (memcmp(&s->consts[i].number, &v, sizeof v) == 0) return s->consts[i].value;
    Attr *attrs = NULL;
    attr_set(a, &attrs,
             (Attr){.name = "values", .kind = AT_FLOATS, .n = 1, .floats = arena_copy(a, &v, sizeof v)});
    Op *op = ir_build(s->r->diag, s->func, s->func->body, "constant", NULL, 0, attrs, NULL, 1, NULL, loc);
    if (!op) return NULL;
    ARENA_PUSH(a, s->consts, s->nconsts, s->consts_cap, ((struct ConstUse){v, op->out[0]}));
    return op->out[0];
}

/* Arithmetic between two numbers. false: this op is not folded here. */
static bool fold(const char *op, const Term *t, double *out) {
    if (strcmp(op, "neg") == 0) return *out = -t[0].number, true;
    if (strcmp(op, "add") == 0) return *out = t[0].number + t[1].number, true;
    if (strcmp(op, "sub") == 0) return *out = t[0].number - t[1].number, true;
    if (strcmp(op, "mul") == 0) return *out = t[0].number * t[1].number, true;
    if (strcmp(op, "div") == 0) return *out = t[0].number / t[1].number, true;
    if (strcmp(op, "power") == 0) return *out = pow(t[0].number, t[1].number), true;
    return false;
}

static Term apply(Lex *l, size_t at, const char *op_name, const Term *t, int n) {
    bool numbers = true;
    for (int i = 0; i < n; i++) {
        if (t[i].bad) return BAD;
        numbers = numbers && !t[i].v;
    }
    double v;
    if (numbers && fold(op_name, t, &v)) {
        if (!isfinite(v)) return lex_error(l, at, "the result is not a finite number"), BAD;
        return (Term){.number = v};
    }
    Value *in[SIG_MAX];
    for (int i = 0; i < n; i++) {
        in[i] = t[i].v ? t[i].v : scope_constant(l->s, t[i].number, lex_loc(l, at));
        if (!in[i]) return BAD;
    }
    Op *op = ir_build(l->r->diag, l->s->func, l->s->func->body, op_name, in, n, NULL, NULL, 1, NULL,
                      lex_loc(l, at));
    return op ? (Term){.v = op->out[0]} : BAD;
}

static Term map_compare(Lex *l);

/* Other spellings of functions. */
static const char *const SPELLINGS[][2] = {
    {"min", "minimum"}, {"max", "maximum"}, {"pow", "power"},
    {"ln", "log"},      {"swish", "silu"},  {"logistic", "sigmoid"},
};

/* What is no function but can be said. */
static const char *const SAID_SO[][2] = {
    {"log1p", "log(1 + x)"},
    {"expm1", "exp(x) - 1"},
    {"exp2", "2^x"},
    {"erfc", "1 - erf(x)"},
    {"sign", "(x > 0) - (x < 0)"},
    {"mod", "x - y*floor(x / y)"},
    {"tan", "sin(x) / cos(x)"},
    {"if", "where(c, a, b)"},
    {"select", "where(c, a, b)"},
    {"elu", "where(x < 0, exp(x) - 1, x)"},
    {"sum", "the op reduce"},
    {"mean", "the op reduce"},
    {"matmul", "the op linear"},
    {"dot", "the op linear"},
};

static bool is_function(const OpDef *def) {
    return def && def->level == LEVEL_MODEL && def->pattern == PAT_ELEMENTWISE;
}

static bool unknown_function(const Lex *l, size_t at, const char *name) {
    const char *names[OP_COUNT];
    int n = 0;
    for (size_t i = 0; i < sizeof SAID_SO / sizeof *SAID_SO; i++)
        if (!strcmp(SAID_SO[i][0], name))
            return lex_error(l, at, "there is no function \"%s\"; %s serves", name, SAID_SO[i][1]);
    const OpDef *def = op_find(name);
    if (def && def->level == LEVEL_MODEL)
        return lex_error(l, at,
                         "\"%s\" is no function of single numbers but an op: it is a statement of its own, "
                         "{ \"out\": .., \"op\": \"%s\", .. }",
                         name, name);
    for (int i = 0; i < OP_COUNT; i++)
        if (is_function(OP_TABLE[i])) names[n++] = OP_TABLE[i]->name;
    return lex_error(l, at, "unknown function \"%s\"%s", name,
                     diag_did_you_mean(l->r->arena, name, names, n));
}

/* The arguments of a function; how many, -1: filed. */
static int map_arguments(Lex *l, Term *args) {
    int n = 0;
    bool bad = false;
    do {
        Term t = map_compare(l);
        if (n < SIG_MAX) args[n] = t;
        bad = bad || t.bad;
        n++;
    } while (!bad && lex_accept(l, ','));
    return bad || !lex_expect(l, ')') ? -1 : n;
}

/* Functions that are made of others, as formulas in x, y, z. */
static const struct {
    const char *name;
    int arguments;
    const char *formula;
} COMPOSED[] = {
    {"clamp", 3, "min(max(x, y), z)"},    {"ceil", 1, "-floor(-x)"},
    {"relu2", 1, "square(relu(x))"},      {"relu6", 1, "min(relu(x), 6)"},
    {"leaky_relu", 1, "max(x, 0.01*x)"},  {"quick_gelu", 1, "x * sigmoid(1.702*x)"},
    {"mish", 1, "x * tanh(softplus(x))"}, {"hardswish", 1, "x * min(relu(x + 3), 6) / 6"},
};

static Term map_formula(Lex *l, size_t at, const char *formula, const Term *args) {
    Lex inner = *l;
    if (!l->args) inner.call = at;
    inner.text = formula, inner.at = 0, inner.args = args;
    return map_compare(&inner);
}

static bool right_number(const Lex *l, size_t at, const char *name, int want, int n) {
    return n == want ||
           lex_error(l, at, "%s takes %d argument%s, found %d", name, want, want == 1 ? "" : "s", n);
}

static Term map_call(Lex *l, size_t at, const char *name) {
    Term args[SIG_MAX];
    for (size_t i = 0; i < sizeof COMPOSED / sizeof *COMPOSED; i++) {
        if (strcmp(COMPOSED[i].name, name)) continue;
        int n = map_arguments(l, args);
        bool right = n >= 0 && right_number(l, at, name, COMPOSED[i].arguments, n);
        return right ? map_formula(l, at, COMPOSED[i].formula, args) : BAD;
    }
    const char *op = name;
    for (size_t i = 0; i < sizeof SPELLINGS / sizeof *SPELLINGS; i++)
        if (!strcmp(SPELLINGS[i][0], name)) op = SPELLINGS[i][1];
    const OpDef *def = op_find(op);
    if (!is_function(def)) return unknown_function(l, at, name), BAD;
    int n = map_arguments(l, args);
    if (n < 0 || !right_number(l, at, name, signature_of(l->r->arena, def)->nin, n)) return BAD;
    return apply(l, at, op, args, n);
}

static Term map_number(Lex *l) {
    char *end;
    double v = strtod(l->text + l->at, &end);
    if (!isfinite(v)) return lex_error(l, l->at, "the number is too large"), BAD;
    l->at = (size_t)(end - l->text);
    return (Term){.number = v};
}

static Term map_word(Lex *l) {
    size_t at = l->at;
    const char *word = lex_word(l);
    if (lex_accept(l, '(')) return map_call(l, at, word);
    Value *v;
    int64_t dim;
    if (l->args && !word[1]) return l->args[*word - 'x'];
    if (scope_find(l->s, word, &v)) return v ? (Term){.v = v} : BAD;
    if (find_dim(l->r, word, &dim)) return (Term){.number = (double)dim};
    return lex_error(l, at, "unknown value \"%s\"%s", word, scope_did_you_mean(l->s, word, true)), BAD;
}

static Term map_atom(Lex *l) {
    char c = lex_peek(l);
    if (lex_accept(l, '@')) {
        Value *v = lex_weight(l, true);
        return v ? (Term){.v = v} : BAD;
    }
    if (isdigit((unsigned char)c) || c == '.') return map_number(l);
    if (isalpha((unsigned char)c) || c == '_') return map_word(l);
    if (lex_accept(l, '(')) {
        Term t = map_compare(l);
        return t.bad || !lex_expect(l, ')') ? BAD : t;
    }
    if (!c) return lex_error(l, l->at, "expected a value, but the text ends here"), BAD;
    return lex_error(l, l->at, "expected a value, found \"%c\"", c), BAD;
}

static Term map_unary(Lex *l);

static Term map_power(Lex *l) {
    Term t = map_atom(l);
    lex_peek(l);
    size_t at = l->at;
    if (t.bad || !lex_accept(l, '^')) return t;
    Term pair[2] = {t, map_unary(l)};
    return apply(l, at, "power", pair, 2);
}

static Term map_unary(Lex *l) {
    if (!lex_deeper(l)) return BAD;
    Term t;
    lex_peek(l);
    size_t at = l->at;
    if (lex_accept(l, '-')) {
        t = map_unary(l);
        t = apply(l, at, "neg", &t, 1);
    } else {
        t = map_power(l);
    }
    l->depth--;
    return t;
}

static Term map_product(Lex *l) {
    Term t = map_unary(l);
    while (!t.bad) {
        char c = lex_peek(l);
        size_t at = l->at;
        if (!lex_accept(l, '*') && !lex_accept(l, '/')) break;
        if (c == '*' && l->text[l->at] == '*') return lex_error(l, at, "unexpected \"**\"; x^2 serves"), BAD;
        Term pair[2] = {t, map_unary(l)};
        t = apply(l, at, c == '*' ? "mul" : "div", pair, 2);
    }
    return t;
}

static Term map_sum(Lex *l) {
    Term t = map_product(l);
    while (!t.bad) {
        char c = lex_peek(l);
        size_t at = l->at;
        if (!lex_accept(l, '+') && !lex_accept(l, '-')) break;
        Term pair[2] = {t, map_product(l)};
        t = apply(l, at, c == '+' ? "add" : "sub", pair, 2);
    }
    return t;
}

/* A comparison, 1 or 0, is one of two ops, with its sides exchanged or its result turned round. */
static const struct {
    const char *sign; /* longer ones before those that they begin with */
    const char *op;
    bool swap, inverse;
} COMPARISONS[] = {
    {"<=", "less_equal", false, false}, {">=", "less_equal", true, false}, {"==", "equal", false, false},
    {"!=", "equal", false, true},       {"<", "less", false, false},       {">", "less", true, false},
};

static Term map_compare(Lex *l) {
    Term t = map_sum(l);
    if (t.bad) return t;
    lex_peek(l);
    size_t at = l->at;
    for (size_t i = 0; i < sizeof COMPARISONS / sizeof *COMPARISONS; i++) {
        const char *sign = COMPARISONS[i].sign;
        if (strncmp(l->text + at, sign, strlen(sign))) continue;
        l->at += strlen(sign);
        Term other = map_sum(l), pair[2] = {t, other}, swapped[2] = {other, t};
        t = apply(l, at, COMPARISONS[i].op, COMPARISONS[i].swap ? swapped : pair, 2);
        Term one[2] = {{.number = 1}, t};
        return COMPARISONS[i].inverse ? apply(l, at, "sub", one, 2) : t;
    }
    return t;
}

/* Signs of other languages. */
void read_map_end(const Lex *l) {
    static const char *const serve[][2] = {
        {"&&", "a * b, of comparisons"},
        {"||", "max(a, b), of comparisons"},
        {"?", "where(c, a, b)"},
        {"%", "x - y*floor(x / y)"},
        {"=", "=="},
    };
    const char *at = l->text + l->at;
    for (size_t i = 0; i < sizeof serve / sizeof *serve; i++)
        if (!strncmp(at, serve[i][0], strlen(serve[i][0]))) {
            lex_error(l, l->at, "unexpected \"%s\"; %s serves", serve[i][0], serve[i][1]);
            return;
        }
    if (strchr("<>=!", *at))
        lex_error(l, l->at, "unexpected \"%c\": one comparison at a time, with parentheses", *at);
    else
        lex_error(l, l->at, "unexpected \"%c\"", *at);
}

Value *read_map_here(Lex *l) {
    Term t = map_compare(l);
    return t.bad ? NULL : t.v ? t.v : scope_constant(l->s, t.number, lex_loc(l, l->at));
}

Value *read_map(Scope *s, const cJSON *node, const char *path, const char *out_name) {
    if (!cJSON_IsString(node))
        return json_error(&s->r->json, node, path, "must be an expression in a string, got %s",
                          json_what(s->r->arena, node)),
               NULL;
    Lex l = lex_of(s->r, s, node, path);
    const Op *before = s->func->body->last;
    Term t = map_compare(&l);
    if (t.bad) return NULL;
    if (lex_peek(&l)) return read_map_end(&l), NULL;
    if (!t.v) return scope_constant(s, t.number, lex_loc(&l, 0));
    /* The last op is the whole expression: its result gets the statement's name. */
    const Op *last = s->func->body->last;
    if (t.v->def == last && last != before) t.v->name = ir_fresh_name(s->func, out_name);
    return t.v;
}
