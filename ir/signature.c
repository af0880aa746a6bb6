/* Signatures: OpDef.sig and OpDef.state are comments that are executed. One matcher gives shape inference,
 * checking and messages such as "dimension n is 16 in operand B but 32 in operand C" for every op.
 *
 *     sig    = tensors "->" tensors
 *     tensor = name ["?"] [":" ("f32" | "i32" | "any")] ["[" dim {"," dim} "]"]      default f32
 *     dim    = "t" (first only) | "t?" | "*" | expr | expr "|" expr     "1|n": either is right; "t?": with T or without
 *     state  = slot {";" slot},  slot = name "[" expr {"," expr} "]" "=" number
 *     expr   = names of dimensions and integers with + - *
 *
 * A tensor without brackets has any shape. A name alone binds a dimension at first sight, and so does a name times an
 * attribute of whole numbers ("h*writes"); other expressions are compared after all names are bound. In results and
 * states a name that no operand binds is an attribute.
 * The sequence `t` may be missing from all operands at once (work on constants), except in stateful ops. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum { MAX_BINDINGS = 24, ANY_DTYPE = DT_COUNT };
static const int64_t MAX_ELEMENTS = (int64_t)1 << 48;

typedef struct Sig {
    Signature pub; /* first: signature_of hands out &sig->pub */
    DType in_dt[SIG_MAX], out_dt[SIG_MAX];
} Sig;

typedef struct Binding {
    const char *name, *where;
    int64_t size;
} Binding;

typedef struct Match {
    Diag *d;
    const Op *op;
    const Sig *sig;
    Arena *tmp;
    Binding bound[MAX_BINDINGS];
    int nbound;
    int nstar; /* -1: not seen */
    int64_t star[MAX_RANK];
    int seq; /* -1: not seen */
    const char *seq_where;
} Match;

/* ---- reading the strings ---- */

static const char *skip_blanks(const char *p) {
    while (*p == ' ' || *p == '\n') p++;
    return p;
}

static const char *read_tensor(Arena *a, const char *p, SigTensor *t, DType *dt) {
    size_t n = strcspn(p, "?:[ ;=");
    t->name = arena_strndup(a, p, n);
    p += n, t->ndim = -1, *dt = DT_F32;
    if (*p == '?') t->optional = true, p++;
    if (*p == ':') {
        n = strcspn(++p, "[ ");
        if (n == 3 && !strncmp(p, "i32", 3)) *dt = DT_I32, t->index = true;
        if (n == 3 && !strncmp(p, "any", 3)) *dt = (DType)ANY_DTYPE;
        p += n;
    }
    if (*p != '[') return skip_blanks(p);
    for (t->ndim = 0; *p && *p != ']' && t->ndim < MAX_RANK + 2;) {
        n = strcspn(++p, ",]");
        if (n) t->dim[t->ndim++] = arena_strndup(a, p, n);
        p += n;
    }
    return skip_blanks(*p ? p + 1 : p);
}

static const Sig *read_sig(Arena *a, const OpDef *def) {
    Sig *s = ARENA_NEW(a, Sig);
    const char *p = skip_blanks(def->sig ? def->sig : "->");
    while (*p && strncmp(p, "->", 2)) {
        if (s->pub.nin == SIG_MAX) BTC_BUG("%s has more than %d operands", def->name, SIG_MAX);
        p = read_tensor(a, p, &s->pub.in[s->pub.nin], &s->in_dt[s->pub.nin]);
        s->pub.nin++;
    }
    if (!strncmp(p, "->", 2)) p = skip_blanks(p + 2);
    while (*p) {
        if (s->pub.nout == SIG_MAX) BTC_BUG("%s has more than %d results", def->name, SIG_MAX);
        p = read_tensor(a, p, &s->pub.out[s->pub.nout], &s->out_dt[s->pub.nout]);
        s->pub.nout++;
    }
    return s;
}

const Signature *signature_of(Arena *a, const OpDef *def) {
    return &read_sig(a, def)->pub;
}

DType op_state_dtype(const Op *op, DType asked) {
    return op->def->state_dt ? op->def->state_dt(op, asked) : asked;
}

int op_state_count(const OpDef *def) {
    if (!def->state || !*def->state) return 0;
    int n = 1;
    for (const char *p = def->state; *p; p++) n += *p == ';';
    return n;
}

bool sig_has_t(const SigTensor *t) {
    return t->ndim > 0 && !strcmp(t->dim[0], "t");
}

bool sig_may_have_t(const SigTensor *t) {
    return t->ndim > 0 && !strcmp(t->dim[0], "t?");
}

const char *sig_dim_text(const char *dim) {
    return !strcmp(dim, "t") ? "T" : !strcmp(dim, "t?") ? "T?" : !strcmp(dim, "*") ? "..." : dim;
}

/* "f32[T,o,i]": what an operand must be, for messages. */
static const char *describe(Arena *a, const SigTensor *t, DType dt) {
    Text x = text_new(a);
    text_add(&x, "%s", dt == (DType)ANY_DTYPE ? "" : dtype_name(dt));
    if (t->ndim < 0) return *x.s ? x.s : "a tensor";
    text_add(&x, "[");
    for (int i = 0; i < t->ndim; i++) {
        text_add(&x, "%s%s", i ? "," : "", sig_dim_text(t->dim[i]));
    }
    text_add(&x, "]");
    return x.s;
}

/* ---- dimension arithmetic ---- */

static const Binding *find_bound(const Match *m, const char *name, size_t n) {
    for (int i = 0; i < m->nbound; i++)
        if (strlen(m->bound[i].name) == n && !strncmp(m->bound[i].name, name, n)) return &m->bound[i];
    return NULL;
}

/* A string stands for as many as it has words. */
static int64_t word_count(const char *s) {
    int64_t n = 0;
    for (; *(s += strspn(s, " ")); s += strcspn(s, " ")) n++;
    return n;
}

static int64_t dim_atom(const Match *m, const char **p) {
    if (isdigit((unsigned char)**p)) {
        char *end;
        int64_t v = strtoll(*p, &end, 10);
        return *p = end, v;
    }
    size_t n = 0;
    while (isalnum((unsigned char)(*p)[n]) || (*p)[n] == '_') n++;
    const char *name = arena_strndup(m->tmp, *p, n);
    *p += n;
    const Binding *b = find_bound(m, name, n);
    if (b) return b->size;
    for (const AttrDef *ad = m->op->def->attrs; ad && ad->name; ad++)
        if (!strcmp(ad->name, name))
            return ad->kind == AT_STR ? word_count(attr_str(m->op, name, ad->str))
                                      : attr_int(m->op, name, (int64_t)ad->otherwise);
    BTC_BUG("%s: \"%s\" in the signature is neither bound nor an attribute", m->op->def->name, name);
}

static bool dim_term(const Match *m, const char **p, int64_t *out) {
    *out = dim_atom(m, p);
    while (**p == '*') {
        (*p)++;
        if (__builtin_mul_overflow(*out, dim_atom(m, p), out)) return false;
    }
    return true;
}

/* Sum of products, left to right. false: overflow. */
static bool dim_value(const Match *m, const char *p, int64_t *out) {
    if (!dim_term(m, &p, out)) return false;
    while (*p == '+' || *p == '-') {
        char sign = *p++;
        int64_t v;
        if (!dim_term(m, &p, &v)) return false;
        if (sign == '+' ? __builtin_add_overflow(*out, v, out) : __builtin_sub_overflow(*out, v, out))
            return false;
    }
    return true;
}

static bool is_name(const char *s) {
    return isalpha((unsigned char)*s) && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                                   "0123456789") == strlen(s);
}

/* ---- matching ---- */

static bool check_size(const Match *m, Type t, const char *what) {
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++)
        if (t.dim[i] < 0 || __builtin_mul_overflow(n, t.dim[i], &n) || n > MAX_ELEMENTS)
            return diag_error(m->d, m->op->loc, "%s: %s would have the impossible size %s", m->op->def->name,
                              what, type_text(m->tmp, t));
    return true;
}

/* In messages the last operand that agreed stands for all of them. */
static bool match_name(Match *m, const char *name, int64_t size, const char *where) {
    Binding *b = NULL;
    for (int i = 0; i < m->nbound; i++)
        if (!strcmp(m->bound[i].name, name)) b = &m->bound[i];
    if (!b) {
        if (m->nbound == MAX_BINDINGS) BTC_BUG("%s: signature too long", m->op->def->name);
        m->bound[m->nbound++] = (Binding){.name = name, .where = where, .size = size};
        return true;
    }
    if (b->size == size) return b->where = where, true;
    return diag_error(m->d, m->op->loc, "%s: dimension %s is %lld in operand %s but %lld in operand %s",
                      m->op->def->name, name, (long long)b->size, b->where, (long long)size, where);
}

/* Of "name*attribute" the name, and into *value the attribute; NULL: it is another expression. */
static const char *times_attribute(const Match *m, const char *dim, int64_t *value) {
    const char *star = strchr(dim, '*');
    for (const AttrDef *a = m->op->def->attrs; star && a && a->name; a++)
        if (!strcmp(a->name, star + 1))
            return *value = attr_int(m->op, a->name, (int64_t)a->otherwise),
                   arena_strndup(m->tmp, dim, (size_t)(star - dim));
    return NULL;
}

/* Binds the name of "name*attribute". */
static bool match_product(Match *m, const char *dim, int64_t size, const char *where) {
    int64_t times = 1;
    const char *name = times_attribute(m, dim, &times);
    if (!name) return true;
    if (times < 1 || size % times)
        return diag_error(m->d, m->op->loc,
                          "%s: dimension %s of operand %s must be a multiple of %lld, is %lld",
                          m->op->def->name, dim, where, (long long)times, (long long)size);
    return match_name(m, name, size / times, where);
}

static bool match_expr(Match *m, const char *dim, int64_t size, const char *where) {
    int64_t v = 0;
    const char * or = strchr(dim, '|');
    if (or &&dim_value(m, arena_strndup(m->tmp, dim, (size_t)(or -dim)), &v) && v == size) return true;
    if (dim_value(m, or ? or +1 : dim, &v) && v == size) return true;
    return diag_error(m->d, m->op->loc, "%s: dimension %s of operand %s must be %lld, is %lld",
                      m->op->def->name, dim, where, (long long)v, (long long)size);
}

static bool match_star(Match *m, const int64_t *dim, int n, const char *where) {
    if (m->nstar >= 0) {
        bool same = m->nstar == n;
        for (int i = 0; i < n && same; i++) same = dim[i] == m->star[i];
        return same || diag_error(m->d, m->op->loc, "%s: the middle dimensions of operand %s differ",
                                  m->op->def->name, where);
    }
    m->nstar = n;
    for (int i = 0; i < n; i++) m->star[i] = dim[i];
    return true;
}

static bool match_seq(Match *m, bool seq, const char *where) {
    if (m->seq >= 0 && m->seq != seq)
        return diag_error(m->d, m->op->loc,
                          "%s: operand %s has the sequence dimension T but operand %s has not",
                          m->op->def->name, seq ? where : m->seq_where, seq ? m->seq_where : where);
    m->seq = seq, m->seq_where = where;
    return true;
}

/* One operand. names: bind and compare plain names; otherwise the rest, once all names are known. */
static bool match_operand(Match *m, int index, const SigTensor *t, DType dt, bool names) {
    const Value *v = m->op->in[index];
    Type ty = v->type;
    bool has_t = sig_has_t(t), may = sig_may_have_t(t);
    int nsig = t->ndim - (has_t || may), star = -1;
    const char *const *dim = t->dim + (has_t || may);
    for (int i = 0; i < nsig; i++)
        if (!strcmp(dim[i], "*")) star = i;
    bool seq_ok = t->ndim < 0 || may || (has_t ? ty.seq || !m->op->def->state : !ty.seq);
    bool rank_ok = t->ndim < 0 || (star < 0 ? ty.rank == nsig : ty.rank >= nsig - 1);
    if (ty.kind != TY_TENSOR || (dt != (DType)ANY_DTYPE && ty.dt != dt) || !seq_ok || !rank_ok)
        return diag_error(m->d, m->op->loc, "%s: operand %s must be %s, is %s", m->op->def->name, t->name,
                          describe(m->tmp, t, dt), type_text(m->tmp, ty));
    if (has_t && names && !match_seq(m, ty.seq, t->name)) return false;
    for (int i = 0, at = 0; i < nsig; i++) {
        if (i == star) {
            int n = ty.rank - (nsig - 1);
            if (names && !match_star(m, ty.dim + at, n, t->name)) return false;
            at += n;
            continue;
        }
        int64_t size = ty.dim[at++];
        bool plain = is_name(dim[i]);
        if (plain && names && !match_name(m, dim[i], size, t->name)) return false;
        if (!plain && names && !match_product(m, dim[i], size, t->name)) return false;
        if (!plain && !names && !match_expr(m, dim[i], size, t->name)) return false;
    }
    return true;
}

static bool match_operands(Match *m, int nin) {
    const Signature *s = &m->sig->pub;
    bool variadic = m->op->def->flags & OPF_VARIADIC;
    if (nin < s->nin || (nin > s->nin && !variadic))
        return diag_error(m->d, m->op->loc, "%s: takes %s%d operands, has %d", m->op->def->name,
                          variadic ? "at least " : "", s->nin, nin);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < nin; i++) {
            int j = i < s->nin ? i : s->nin - 1;
            if (!m->op->in[i] && s->in[j].optional) continue;
            if (!m->op->in[i])
                return diag_error(m->d, m->op->loc, "%s: operand %s is missing", m->op->def->name,
                                  s->in[j].name);
            if (!match_operand(m, i, &s->in[j], m->sig->in_dt[j], pass == 0)) return false;
        }
    return true;
}

static bool result_type(Match *m, const SigTensor *t, DType dt, Type *out) {
    *out = (Type){.kind = TY_TENSOR, .dt = dt};
    for (int i = 0; i < t->ndim; i++) {
        if (i == 0 && !strcmp(t->dim[i], "t")) {
            out->seq = m->seq != 0; /* no operand has T: the op makes it (position) */
            continue;
        }
        bool star = !strcmp(t->dim[i], "*");
        int n = star ? m->nstar > 0 ? m->nstar : 0 : 1;
        if (out->rank + n > MAX_RANK)
            return diag_error(m->d, m->op->loc, "%s: result %s would have more than %d dimensions",
                              m->op->def->name, t->name, MAX_RANK);
        for (int k = 0; k < n; k++) {
            int64_t v = star ? m->star[k] : 0;
            if (!star && !dim_value(m, t->dim[i], &v)) v = -1;
            out->dim[out->rank++] = v;
        }
    }
    return check_size(m, *out, arena_printf(m->tmp, "result %s", t->name));
}

/* What a slot starts with: `= number` or `= attr`, an attribute of the op. */
static double initial(const Op *op, const char *p) {
    if (*p != '=') return 0;
    p = skip_blanks(p + 1);
    size_t n = strcspn(p, " ;");
    for (const AttrDef *a = op->def->attrs; a && a->name; a++)
        if (strlen(a->name) == n && !strncmp(p, a->name, n)) return attr_float(op, a->name, a->otherwise);
    return strtod(p, NULL);
}

static bool state_types(Match *m, StateDef *out, int *n) {
    *n = 0;
    for (const char *p = m->op->def->state; p && *p;) {
        SigTensor t = {0};
        DType dt;
        p = read_tensor(m->tmp, skip_blanks(p), &t, &dt);
        StateDef *s = &out[(*n)++];
        s->name = t.name;
        if (!result_type(m, &t, dt, &s->type)) return false;
        s->type.seq = false;
        s->init = initial(m->op, p);
        p = strchr(p, ';');
        if (p) p++;
    }
    return true;
}

/* ---- the three entries ---- */

static Match match_new(Diag *d, Arena *tmp, const Op *op) {
    return (Match){.d = d, .op = op, .sig = read_sig(tmp, op->def), .tmp = tmp, .nstar = -1, .seq = -1};
}

/* Types of the state operands are set when a builder left them open, else compared. */
static bool infer_states(Match *m, Func *f, Op *op) {
    StateDef defs[SIG_MAX];
    int n, nin = m->sig->pub.nin, nout = m->sig->pub.nout;
    if (!state_types(m, defs, &n)) return false;
    for (int i = 0; i < n; i++) {
        Value *v = op->in[nin + i];
        if (!v) return diag_error(m->d, op->loc, "%s: state %s is missing", op->def->name, defs[i].name);
        if (v->type.kind == TY_NONE) {
            v->type = defs[i].type;
            State *s = ir_state_of(f, v);
            if (s) s->type = defs[i].type;
        }
        if (!type_equal(v->type, defs[i].type))
            return diag_error(m->d, op->loc, "%s: state %s must be %s, is %s", op->def->name, defs[i].name,
                              type_text(m->tmp, defs[i].type), type_text(m->tmp, v->type));
        op->out[nout + i]->type = defs[i].type;
    }
    return true;
}

static bool infer(Match *m, Func *f, Op *op) {
    if (!attrs_check(m->d, f, op)) return false;
    if (!op->def->sig) return true;
    int ns = op_state_count(op->def), nout = m->sig->pub.nout;
    if (op->nout != nout + ns)
        return diag_error(m->d, op->loc, "%s: gives %d results%s, %d are named", op->def->name, nout + ns,
                          ns ? " (with states)" : "", op->nout);
    if (!match_operands(m, op->nin - ns)) return false;
    for (int i = 0; i < nout; i++) {
        const SigTensor *t = &m->sig->pub.out[i];
        if (t->ndim >= 0 && !result_type(m, t, m->sig->out_dt[i], &op->out[i]->type)) return false;
    }
    return infer_states(m, f, op);
}

bool signature_infer(Diag *d, Func *f, Op *op) {
    Arena *tmp = arena_new();
    Match m = match_new(d, tmp, op);
    bool ok = infer(&m, f, op);
    arena_free(tmp);
    return ok;
}

/* With an operand that has no type yet the slots have none either; signature_infer fills them in later. */
bool signature_states(Diag *d, Func *f, const Op *op, StateDef *out, int *n) {
    Arena *a = f->module->arena; /* names in `out` live as long as the module */
    *n = 0;
    if (op_state_count(op->def) == 0) return true;
    Match m = match_new(d, a, op);
    bool typed = true;
    for (int i = 0; i < m.sig->pub.nin && i < op->nin; i++)
        typed = typed && (!op->in[i] || op->in[i]->type.kind != TY_NONE);
    if (!attrs_check(d, f, op)) return false;
    if (typed) return match_operands(&m, m.sig->pub.nin) && state_types(&m, out, n);
    for (const char *p = op->def->state; p && *p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL) {
        SigTensor t = {0};
        DType dt;
        const char *rest = read_tensor(a, skip_blanks(p), &t, &dt);
        out[(*n)++] = (StateDef){.name = t.name, .init = initial(op, rest)};
    }
    return true;
}
