/* Ranges of indices. A signature can say that an i32 operand indexes the first dimension of the operand behind it:
 * embed's ids index the rows of its table, linear.experts' index the experts. Compiled code does not check indices, so
 * their range is derived here: ids are below the vocabulary (the runtime checks them), the choices of topk below the
 * number of its scores, the position below the model's longest sequence. */
#include "index_range.h"

#include "op.h"

/* Numbers are below `ids`; they are of tokens of the sequence, if `tokens`; and at the end of the longest sequence, if one
 * of them is the position. */
typedef struct Range {
    int64_t ids;
    bool position, tokens;
} Range;

static Range joined(Range a, Range b) {
    return (Range){a.ids > b.ids ? a.ids : b.ids, a.position || b.position, a.tokens || b.tokens};
}

/* A search from an operand back to what its numbers come from; each value is looked at once. */
typedef struct Search {
    const Module *m;
    Arena *tmp;
    const Value **seen;
    int n, cap;
} Search;

static Range range_of(Search *s, const Func *f, const Value *v);

/* Of everything that calls give for parameter k. */
static Range param_range(Search *s, const Func *f, int k) {
    const Attr *vocab = attr_find(s->m->attrs, "vocab");
    Range r = {0};
    if (f == ir_func_find(s->m, "main")) return (Range){.ids = vocab ? vocab->i : INT64_MAX};
    for (const Func *g = s->m->first; g; g = g->next)
        OPS_OF (g->body, op)
            if (op->def->pattern == PAT_CALL && ir_func_find(s->m, attr_str(op, "func", "")) == f)
                r = joined(r, range_of(s, g, op->in[k]));
    return r;
}

static Range call_range(Search *s, const Op *op, const Value *v) {
    const Func *g = ir_func_find(s->m, attr_str(op, "func", ""));
    int i = 0;
    while (op->out[i] != v) i++;
    return range_of(s, g, g->results[i]);
}

static Range range_of(Search *s, const Func *f, const Value *v) {
    const Op *op = v->def;
    Range r = {0};
    for (int i = 0; i < s->n; i++)
        if (s->seen[i] == v) return r;
    ARENA_PUSH(s->tmp, s->seen, s->n, s->cap, v);
    for (int k = 0; !op && k < f->nparams; k++)
        if (f->params[k] == v) return param_range(s, f, k);
    if (!op) return (Range){.ids = INT64_MAX};
    if (op->def == OP_TABLE[OP_position]) return (Range){.position = true};
    if (op->def == OP_TABLE[OP_topk_tokens] && v == op->out[1]) return (Range){.tokens = true};
    if (op->def == OP_TABLE[OP_topk] || op->def == OP_TABLE[OP_topk_tokens])
        return (Range){.ids = op->in[0]->type.dim[op->in[0]->type.rank - 1]};
    if (op->def->pattern == PAT_CALL) return call_range(s, op, v);
    /* all else that is i32 moves its operands around */
    for (int i = 0; i < op->nin; i++)
        if (op->in[i]) r = joined(r, range_of(s, f, op->in[i]));
    return r;
}

/* Calls `each` with every index operand of the module: its range, and how many there are to choose from; TOKENS: the
 * tokens of the sequence, where no operand is behind it. false: so did `each`. */
enum { TOKENS = -1 };
typedef bool EachIndex(void *user, const Op *op, const char *name, Range r, int64_t n);
static bool each_index(const Module *m, EachIndex *each, void *user) {
    Arena *tmp = arena_new();
    bool ok = true;
    for (const Func *f = m->first; f && ok; f = f->next)
        OPS_OF (f->body, op) {
            if (!op->def->sig) continue;
            const Signature *s = signature_of(tmp, op->def);
            for (int k = 0; ok && k < s->nin; k++) {
                bool last = k + 1 == s->nin;
                if (!s->in[k].index || !op->in[k] || (!last && !op->in[k + 1])) continue;
                Search from = {.m = m, .tmp = tmp};
                Range r = range_of(&from, f, op->in[k]);
                ok = each(user, op, s->in[k].name, r, last ? TOKENS : op->in[k + 1]->type.dim[0]);
            }
        }
    arena_free(tmp);
    return ok;
}

static bool shorter(void *user, const Op *op, const char *name, Range r, int64_t n) {
    int64_t *longest = user;
    (void)op, (void)name;
    if (r.position && n != TOKENS && (!*longest || n < *longest)) *longest = n;
    return true;
}

int64_t index_longest(const Module *m) {
    int64_t longest = 0;
    each_index(m, shorter, &longest);
    return longest;
}

typedef struct Check {
    Diag *d;
    int64_t context; /* as the module says; 0: it does not */
} Check;

static bool fits(void *user, const Op *op, const char *name, Range r, int64_t n) {
    const Check *c = user;
    if (n == TOKENS)
        return !r.ids ||
               diag_error(c->d, op->loc,
                          "%s: %s must be numbers of tokens: what topk.tokens gives, or the position",
                          op->def->name, name);
    if (r.tokens)
        return diag_error(c->d, op->loc, "%s: %s is the number of a token, for gather and scatter only",
                          op->def->name, name);
    if (r.ids > n)
        return diag_error(c->d, op->loc, "%s: %s goes up to %lld, but there are only %lld to choose from",
                          op->def->name, name, (long long)r.ids - 1, (long long)n);
    return !r.position || c->context <= n ||
           diag_error(c->d, op->loc,
                      "%s: %s is the position, which goes up to %lld with \"context\": %lld, but there are "
                      "only %lld "
                      "to choose from; the context must be %lld or less",
                      op->def->name, name, (long long)c->context - 1, (long long)c->context, (long long)n,
                      (long long)n);
}

bool index_check(Diag *d, const Module *m) {
    const Attr *context = attr_find(m->attrs, "context");
    Check c = {d, context ? context->i : 0};
    return each_index(m, fits, &c);
}
