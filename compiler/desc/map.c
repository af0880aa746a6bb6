/* Maps: elementwise arithmetic in a string, such as
 *     x + gelu_tanh(g) * (y - 0.5*@scale[D])
 * A map becomes elementwise ops; arithmetic between numbers is done here. From loose to tight: <, + -, * /,
 * unary -. */
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
    double most = 0x1.fffffep127, least = 0x1p-126;
    if (v == 0 || (fabs(v) >= least && fabs(v) <= most)) return true;
    return diag_error(d, loc, "%g is too %s: models compute in f32, from %.3g to %.3g", v,
                      fabs(v) < least ? "small" : "large", least, most);
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

static Term map_call(Lex *l, size_t at, const char *name) {
    const OpDef *def = op_find(name);
    if (!def || def->level != LEVEL_MODEL || def->pattern != PAT_ELEMENTWISE) {
        const char *names[OP_COUNT];
        int n = 0;
        for (int i = 0; i < OP_COUNT; i++)
            if (OP_TABLE[i]->level == LEVEL_MODEL && OP_TABLE[i]->pattern == PAT_ELEMENTWISE)
                names[n++] = OP_TABLE[i]->name;
        return lex_error(l, at, "unknown function \"%s\"%s", name,
                         diag_did_you_mean(l->r->arena, name, names, n)),
               BAD;
    }
    int want = signature_of(l->r->arena, def)->nin, n = 0;
    Term args[SIG_MAX];
    bool bad = false;
    do {
        Term t = map_compare(l);
        if (n < SIG_MAX) args[n] = t;
        bad = bad || t.bad;
        n++;
    } while (!bad && lex_accept(l, ','));
    if (bad || !lex_expect(l, ')')) return BAD;
    if (n != want)
        return lex_error(l, at, "%s takes %d argument%s, found %d", name, want, want == 1 ? "" : "s", n), BAD;
    return apply(l, at, name, args, n);
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

static Term map_unary(Lex *l) {
    if (!lex_deeper(l)) return BAD;
    Term t;
    lex_peek(l);
    size_t at = l->at;
    if (lex_accept(l, '-')) {
        t = map_unary(l);
        t = apply(l, at, "neg", &t, 1);
    } else {
        t = map_atom(l);
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

static Term map_compare(Lex *l) {
    Term t = map_sum(l);
    size_t at = l->at;
    if (t.bad || !lex_accept(l, '<')) return t;
    Term pair[2] = {t, map_sum(l)};
    return apply(l, at, "less", pair, 2);
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
    if (lex_peek(&l)) return lex_error(&l, l.at, "unexpected \"%c\"", l.text[l.at]), NULL;
    if (!t.v) return scope_constant(s, t.number, lex_loc(&l, 0));
    /* The last op is the whole expression: its result gets the statement's name. */
    const Op *last = s->func->body->last;
    if (t.v->def == last && last != before) t.v->name = ir_fresh_name(s->func, out_name);
    return t.v;
}
