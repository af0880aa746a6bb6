/* Sizes and weights, written inside strings:
 *     sizes     2*E + N            whole numbers and dimensions with + - * / ( )
 *     weights   @in_proj.weight[2*E, D]     @experts.{0..E}.w1.weight */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "desc/lex.h"
#include "weight_name.h"

enum { MAX_DEPTH = 64, MAX_STACK = 1 << 16 };

/* ---- the cursor ---- */

Lex lex_of(Reader *r, Scope *s, const cJSON *node, const char *path) {
    return (Lex){.r = r, .s = s, .node = node, .path = path, .text = node->valuestring};
}

Loc lex_loc(const Lex *l, size_t at) {
    if (l->args) at = l->call;
    Loc loc = json_loc(&l->r->json, l->node, arena_printf(l->r->arena, "%s, column %zu", l->path, at + 1));
    loc.col += 1 + (int)at; /* behind the quote */
    return loc;
}

bool lex_error(const Lex *l, size_t at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *msg = arena_vprintf(l->r->arena, fmt, ap);
    va_end(ap);
    return diag_error(l->r->diag, lex_loc(l, at), "%s", msg);
}

char lex_peek(Lex *l) {
    while (l->text[l->at] == ' ' || l->text[l->at] == '\t') l->at++;
    return l->text[l->at];
}

bool lex_accept(Lex *l, char c) {
    if (lex_peek(l) != c) return false;
    l->at++;
    return true;
}

bool lex_expect(Lex *l, char c) {
    if (lex_accept(l, c)) return true;
    char found = l->text[l->at];
    if (!found) return lex_error(l, l->at, "expected \"%c\", but the text ends here", c);
    return lex_error(l, l->at, "expected \"%c\", found \"%c\"", c, found);
}

const char *lex_word(Lex *l) {
    size_t start = l->at;
    while (isalnum((unsigned char)l->text[l->at]) || l->text[l->at] == '_') l->at++;
    return arena_strndup(l->r->arena, l->text + start, l->at - start);
}

bool lex_deeper(Lex *l) {
    if (++l->depth > MAX_DEPTH) return lex_error(l, l->at, "nested too deep");
    return true;
}

/* ---- sizes ---- */

bool find_dim(const Reader *r, const char *name, int64_t *out) {
    for (int i = 0; i < r->ndims; i++)
        if (strcmp(r->dims[i].name, name) == 0) {
            *out = r->dims[i].value;
            return true;
        }
    return false;
}

static bool size_sum(Lex *l, int64_t *out);

static bool size_atom(Lex *l, int64_t *out) {
    char c = lex_peek(l);
    size_t start = l->at;
    if (isdigit((unsigned char)c)) {
        const char *word = lex_word(l);
        char *end;
        *out = strtoll(word, &end, 10);
        if (*end || *out > MAX_DIM_SIZE) return lex_error(l, start, "\"%s\" is no size", word);
        return true;
    }
    if (isalpha((unsigned char)c) || c == '_') {
        const char *word = lex_word(l);
        if (find_dim(l->r, word, out)) return true;
        const char **names = ARENA_ARRAY(l->r->arena, const char *, l->r->ndims + 1);
        for (int i = 0; i < l->r->ndims; i++) names[i] = l->r->dims[i].name;
        return lex_error(l, start, "unknown dimension \"%s\"%s", word,
                         diag_did_you_mean(l->r->arena, word, names, l->r->ndims));
    }
    if (lex_accept(l, '(')) return lex_deeper(l) && size_sum(l, out) && lex_expect(l, ')') && l->depth--;
    return lex_error(l, start, "expected a size: a whole number or the name of a dimension");
}

static bool size_product(Lex *l, int64_t *out) {
    if (!size_atom(l, out)) return false;
    for (;;) {
        size_t at = l->at;
        int64_t b;
        if (lex_accept(l, '*')) {
            if (!size_atom(l, &b)) return false;
            if (__builtin_mul_overflow(*out, b, out)) return lex_error(l, at, "the size is too large");
        } else if (lex_accept(l, '/')) {
            if (!size_atom(l, &b)) return false;
            if (b == 0 || *out % b != 0)
                return lex_error(l, at, "%lld / %lld is not a whole number", (long long)*out, (long long)b);
            *out /= b;
        } else {
            return true;
        }
    }
}

static bool size_sum(Lex *l, int64_t *out) {
    if (!size_product(l, out)) return false;
    for (;;) {
        bool plus = lex_accept(l, '+');
        if (!plus && !lex_accept(l, '-')) return true;
        int64_t b;
        if (!size_product(l, &b)) return false;
        if (plus ? __builtin_add_overflow(*out, b, out) : __builtin_sub_overflow(*out, b, out))
            return lex_error(l, l->at, "the size is too large");
    }
}

bool read_size(Reader *r, const cJSON *node, const char *path, int64_t lo, int64_t hi, int64_t *out) {
    if (!node || !cJSON_IsString(node)) return json_int(&r->json, node, path, lo, hi, out);
    Lex l = lex_of(r, NULL, node, path);
    if (!size_sum(&l, out)) return false;
    if (lex_peek(&l)) return lex_error(&l, l.at, "unexpected \"%c\"", l.text[l.at]);
    if (*out < lo || *out > hi)
        return json_error(&r->json, node, path, "must be from %lld to %lld, but \"%s\" is %lld",
                          (long long)lo, (long long)hi, node->valuestring, (long long)*out);
    return true;
}

/* ---- weights ---- */

/* "{0..E}" inside a name: written with numbers into `name`. */
static bool weight_range(Lex *l, Text *name) {
    int64_t lo, hi;
    size_t at = l->at;
    if (!lex_expect(l, '{') || !size_sum(l, &lo) || !lex_expect(l, '.') || !lex_expect(l, '.') ||
        !size_sum(l, &hi) || !lex_expect(l, '}'))
        return false;
    if (lo < 0 || hi <= lo || hi - lo > MAX_STACK)
        return lex_error(l, at, "{%lld..%lld} stands for no tensors, or too many", (long long)lo,
                         (long long)hi);
    text_add(name, "{%lld..%lld}", (long long)lo, (long long)hi);
    return true;
}

/* The name behind "@". In a map it ends where a name can end; else it is the rest of the string. */
static const char *read_weight_name(Lex *l, bool in_map) {
    Text t = text_new(l->r->arena);
    int ranges = 0;
    for (char c; (c = l->text[l->at]) && c != '[';) {
        bool slash = c == '/' && t.n == 0;
        if (c == '{') {
            if (ranges++) return lex_error(l, l->at, "a name may hold one {..}"), NULL;
            if (!weight_range(l, &t)) return NULL;
            continue;
        }
        if (in_map && !isalnum((unsigned char)c) && !strchr("._", c) && !slash) break;
        text_add_n(&t, &c, 1);
        l->at++;
    }
    if (t.n == 0 || strcmp(t.s, "/") == 0) return lex_error(l, l->at, "expected the name of a tensor"), NULL;
    return t.s;
}

/* "[2*E, D]" after a name; rank -1: no brackets. */
static bool weight_shape(Lex *l, int64_t *dim, int *rank) {
    *rank = -1;
    if (!lex_accept(l, '[')) return true;
    *rank = 0;
    int64_t all = 1;
    do {
        size_t at = l->at;
        if (*rank == MAX_RANK) return lex_error(l, at, "a tensor has at most %d dimensions", MAX_RANK);
        int64_t v;
        if (!size_sum(l, &v)) return false;
        if (v < 1 || v > MAX_DIM_SIZE || __builtin_mul_overflow(all, v, &all) || all > INT64_MAX / 16)
            return lex_error(l, at, "a size must be from 1 to %lld, this is %lld", (long long)MAX_DIM_SIZE,
                             (long long)v);
        dim[(*rank)++] = v;
    } while (lex_accept(l, ','));
    return lex_expect(l, ']');
}

static const char *nearest_tensor(const Lex *l, const char *name) {
    const WeightSet *w = l->r->weights;
    const char **names = ARENA_ARRAY(l->r->arena, const char *, w->n + 1);
    for (int i = 0; i < w->n; i++) names[i] = w->tensors[i].name;
    return diag_did_you_mean(l->r->arena, name, names, w->n);
}

/* No brackets: the checkpoint decides. */
static bool shape_from_file(Lex *l, size_t at, const char *name, int64_t *dim, int *rank) {
    Arena *a = l->r->arena;
    if (!l->r->weights)
        return lex_error(l, at, "the shape of \"%s\" is not known without the weights: write it in brackets",
                         name);
    const char *full = weight_name(a, l->s->prefix, name);
    int64_t n = weight_count(full);
    const RawTensor *t = weights_find(l->r->weights, weight_part(a, full, 0));
    if (!t && !l->r->weights->nmaps && !l->r->weights->n)
        return lex_error(l, at, "the description names no \"weights\" that could hold \"%s\"", full);
    if (!t)
        return lex_error(l, at, "%s has no tensor \"%s\"%s", l->r->weights->name, weight_part(a, full, 0),
                         nearest_tensor(l, full));
    bool stacked = strchr(full, '{') != NULL;
    *rank = t->rank + stacked;
    if (*rank > MAX_RANK) return lex_error(l, at, "\"%s\" has more than %d dimensions", full, MAX_RANK);
    if (stacked) dim[0] = n;
    for (int i = 0; i < t->rank; i++) dim[i + stacked] = t->dim[i];
    return true;
}

static bool same_shape(const Value *v, const int64_t *dim, int rank) {
    if (v->type.rank != rank) return false;
    for (int i = 0; i < rank; i++)
        if (v->type.dim[i] != dim[i]) return false;
    return true;
}

/* Another shape of a tensor that is here already is a reshape of it. */
Value *lex_weight(Lex *l, bool in_map) {
    Scope *s = l->s;
    Arena *a = l->r->arena;
    size_t start = l->at;
    int64_t dim[MAX_RANK];
    int rank;
    const char *name = read_weight_name(l, in_map);
    if (!name || !weight_shape(l, dim, &rank)) return NULL;
    Value *known = NULL;
    for (int i = 0; i < s->nweights; i++)
        if (strcmp(s->weights[i].name, name) == 0) known = s->weights[i].value;
    if (known && (rank < 0 || same_shape(known, dim, rank))) return known;
    if (rank < 0 && !shape_from_file(l, start, name, dim, &rank)) return NULL;

    Attr *attrs = NULL;
    if (!known) attr_set(a, &attrs, (Attr){.name = "name", .kind = AT_STR, .s = name});
    attr_set(a, &attrs,
             (Attr){.name = "shape",
                    .kind = AT_INTS,
                    .n = rank,
                    .ints = arena_copy(a, dim, sizeof *dim * (size_t)rank)});
    Op *op = ir_build(l->r->diag, s->func, s->func->body, known ? "reshape" : "weight", &known, known ? 1 : 0,
                      attrs, NULL, 1, NULL, lex_loc(l, start));
    if (!op) return NULL;
    if (!known)
        ARENA_PUSH(a, s->weights, s->nweights, s->weights_cap, ((struct WeightUse){name, op->out[0]}));
    return op->out[0];
}

Value *read_weight(Scope *s, const cJSON *node, const char *path) {
    Lex l = lex_of(s->r, s, node, path);
    if (!lex_expect(&l, '@')) return NULL;
    Value *v = lex_weight(&l, false);
    if (v && lex_peek(&l))
        return lex_error(&l, l.at, "unexpected \"%c\" after the weight", l.text[l.at]), NULL;
    return v;
}
