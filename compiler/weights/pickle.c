/* A pickle is a program for a small stack machine. This one runs the opcodes that torch.save emits for
 * tensors in dicts (protocol 2, and the framing and memo forms of 4 and 5); calls are limited to four known
 * names and only build data. Opcodes: Python's Lib/pickletools.py; what PyTorch calls: torch/_utils.py,
 * torch/serialization.py.
 *
 * Work and memory stay linear in the pickle's size: each opcode makes at most one value. */
#include "pickle.h"

#include <string.h>

#include "container.h"

enum { MAX_PICKLE = 64 << 20, MAX_PROTOCOL = 5 };

typedef struct Pickle {
    Diag *diag;
    Arena *arena;
    const char *file;
    const uint8_t *data;
    size_t size, at, op_at;
    PickleValue **stack;
    int n, cap;
    int *marks; /* stack heights */
    int nmarks, marks_cap;
    PickleValue **memo; /* NULL: never put */
    size_t memo_n, memo_cap;
    size_t pairs; /* given to OrderedDict calls */
    bool stopped;
    PickleRest *rest; /* or NULL */
} Pickle;

static const PickleGlobal GLOBALS[] = {
#define NAME(module, name, role, dt) {module, name, role, dt},
#include "pickle_names.def"
#undef NAME
};

/* ---- the machine ---- */

static bool fail(Pickle *k, const char *msg) {
    return diag_error(k->diag, (Loc){.file = k->file, .path = "data.pkl"}, "%s (byte %zu)", msg, k->op_at);
}

static bool take(Pickle *k, uint64_t n, const uint8_t **out) {
    if (n > k->size - k->at) {
        fail(k, "the pickle is truncated");
        return false;
    }
    *out = k->data + k->at;
    k->at += (size_t)n;
    return true;
}

static bool take_number(Pickle *k, int bytes, uint64_t *out) {
    const uint8_t *p;
    if (!take(k, (uint64_t)bytes, &p)) return false;
    *out = 0;
    for (int i = bytes - 1; i >= 0; i--) *out = *out << 8 | p[i];
    return true;
}

static PickleValue *push(Pickle *k, PickleKind kind) {
    PickleValue *v = ARENA_NEW(k->arena, PickleValue);
    v->kind = kind;
    ARENA_PUSH(k->arena, k->stack, k->n, k->cap, v);
    return v;
}

/* n values from the top, none from below the latest mark; they stay readable until the next push. */
static PickleValue **pop(Pickle *k, int n) {
    int floor = k->nmarks ? k->marks[k->nmarks - 1] : 0;
    if (k->n - floor < n) {
        fail(k, "the pickle takes more from its stack than is there");
        return NULL;
    }
    k->n -= n;
    return k->stack + k->n;
}

static PickleValue **pop_to_mark(Pickle *k, int *count) {
    if (!k->nmarks) {
        fail(k, "the pickle goes back to a mark that it never set");
        return NULL;
    }
    k->nmarks--;
    *count = k->n - k->marks[k->nmarks];
    k->n = k->marks[k->nmarks];
    return k->stack + k->n;
}

static PickleValue *top(Pickle *k, PickleKind kind, const char *what) {
    PickleValue **v = pop(k, 1);
    if (!v) return NULL;
    k->n++;
    if ((*v)->kind == kind) return *v;
    fail(k, what);
    return NULL;
}

static void append(Pickle *k, PickleValue *to, PickleValue **items, int n) {
    for (int i = 0; i < n; i++) ARENA_PUSH(k->arena, to->items, to->n, to->cap, items[i]);
}

/* ---- constants ---- */

static bool op_proto(Pickle *k, uint8_t op) {
    uint64_t v;
    (void)op;
    if (!take_number(k, 1, &v)) return false;
    return v <= MAX_PROTOCOL || fail(k, "the pickle's protocol is newer than 5");
}

static bool op_frame(Pickle *k, uint8_t op) {
    uint64_t n;
    (void)op;
    return take_number(k, 8, &n) && (n <= k->size - k->at || fail(k, "the pickle is truncated"));
}

static bool op_stop(Pickle *k, uint8_t op) {
    (void)op;
    return k->stopped = true;
}

static bool op_constant(Pickle *k, uint8_t op) {
    if (op == 'N') return push(k, PK_NONE);
    push(k, PK_BOOL)->i = op == 0x88;
    return true;
}

static bool op_int(Pickle *k, uint8_t op) {
    uint64_t v;
    if (!take_number(k, op == 'J' ? 4 : op == 'M' ? 2 : 1, &v)) return false;
    push(k, PK_INT)->i = op == 'J' ? (int32_t)(uint32_t)v : (int64_t)v;
    return true;
}

/* LONG1: n bytes, little-endian two's complement. */
static bool op_long(Pickle *k, uint8_t op) {
    uint64_t n, v = 0;
    const uint8_t *p;
    (void)op;
    if (!take_number(k, 1, &n) || !take(k, n, &p)) return false;
    if (n > 8) return push(k, PK_OTHER);
    if (n && p[n - 1] & 0x80) v = ~(uint64_t)0;
    for (uint64_t i = n; i-- > 0;) v = v << 8 | p[i];
    int64_t signed_v;
    memcpy(&signed_v, &v, sizeof v);
    push(k, PK_INT)->i = signed_v;
    return true;
}

static bool op_float(Pickle *k, uint8_t op) {
    const uint8_t *p;
    uint64_t v = 0;
    (void)op;
    if (!take(k, 8, &p)) return false;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    memcpy(&push(k, PK_FLOAT)->f, &v, sizeof v);
    return true;
}

static bool op_text(Pickle *k, uint8_t op) {
    uint64_t n;
    const uint8_t *p;
    if (!take_number(k, op == 'X' ? 4 : op == 0x8c ? 1 : 8, &n) || !take(k, n, &p)) return false;
    if (memchr(p, 0, (size_t)n)) return push(k, PK_OTHER);
    push(k, PK_TEXT)->s = arena_strndup(k->arena, (const char *)p, (size_t)n);
    return true;
}

/* ---- collections ---- */

static bool op_mark(Pickle *k, uint8_t op) {
    (void)op;
    ARENA_PUSH(k->arena, k->marks, k->nmarks, k->marks_cap, k->n);
    return true;
}

static bool op_empty(Pickle *k, uint8_t op) {
    return push(k, op == '}' ? PK_DICT : op == ']' ? PK_LIST : PK_TUPLE);
}

static bool op_tuple(Pickle *k, uint8_t op) {
    int n = op - 0x84; /* TUPLE1 is 0x85 */
    PickleValue **items = op == 't' ? pop_to_mark(k, &n) : pop(k, n);
    if (!items) return false;
    PickleValue **own = arena_copy(k->arena, items, (size_t)n * sizeof *items);
    PickleValue *v = push(k, PK_TUPLE);
    v->items = own, v->n = v->cap = n;
    return true;
}

static bool op_append(Pickle *k, uint8_t op) {
    int n = 1;
    PickleValue **items = op == 'e' ? pop_to_mark(k, &n) : pop(k, n);
    PickleValue *list = items ? top(k, PK_LIST, "the pickle appends to something that is not a list") : NULL;
    if (!list) return false;
    append(k, list, items, n);
    return true;
}

static bool op_setitem(Pickle *k, uint8_t op) {
    int n = 2;
    PickleValue **items = op == 'u' ? pop_to_mark(k, &n) : pop(k, n);
    PickleValue *dict =
        items ? top(k, PK_DICT, "the pickle sets an item of something that is not a dict") : NULL;
    if (!dict) return false;
    if (n % 2) return fail(k, "the pickle sets a dict key without a value");
    append(k, dict, items, n);
    return true;
}

/* ---- memo ---- */

static bool op_put(Pickle *k, uint8_t op) {
    uint64_t at = k->memo_n;
    if (op != 0x94 && !take_number(k, op == 'q' ? 1 : 4, &at)) return false;
    PickleValue **v = pop(k, 1);
    if (!v) return false;
    k->n++;
    /* One put costs at least a byte, so an honest number is smaller than the pickle. */
    if (at >= k->size) return fail(k, "the pickle's memo number is larger than the pickle");
    if (at >= k->memo_cap) {
        size_t cap = k->memo_cap ? k->memo_cap : 64;
        while (cap <= at) cap *= 2;
        PickleValue **more = ARENA_ARRAY(k->arena, PickleValue *, cap);
        if (k->memo_n) memcpy(more, k->memo, k->memo_n * sizeof *more);
        k->memo = more, k->memo_cap = cap;
    }
    k->memo[at] = *v;
    if (at >= k->memo_n) k->memo_n = (size_t)at + 1;
    return true;
}

static bool op_get(Pickle *k, uint8_t op) {
    uint64_t at;
    if (!take_number(k, op == 'h' ? 1 : 4, &at)) return false;
    if (at >= k->memo_n || !k->memo[at]) return fail(k, "the pickle reads a memo that it never wrote");
    ARENA_PUSH(k->arena, k->stack, k->n, k->cap, k->memo[at]);
    return true;
}

/* ---- names and calls ---- */

static bool push_global(Pickle *k, const char *module, size_t nm, const char *name, size_t nn) {
    for (size_t i = 0; i < sizeof GLOBALS / sizeof *GLOBALS; i++) {
        const PickleGlobal *g = &GLOBALS[i];
        if (strlen(g->module) != nm || memcmp(g->module, module, nm)) continue;
        if (strlen(g->name) != nn || memcmp(g->name, name, nn)) continue;
        push(k, PK_NAME)->global = g;
        return true;
    }
    return diag_error(k->diag, (Loc){.file = k->file},
                      "holds code (%s.%s): btc reads tensors only and never runs a pickle",
                      container_clean(k->arena, module, nm), container_clean(k->arena, name, nn));
}

static bool take_line(Pickle *k, const char **s, size_t *n) {
    const uint8_t *p = k->data + k->at, *end = memchr(p, '\n', k->size - k->at);
    if (!end) return fail(k, "the pickle is truncated");
    *s = (const char *)p, *n = (size_t)(end - p);
    k->at += *n + 1;
    return true;
}

static bool op_global(Pickle *k, uint8_t op) {
    const char *module = "", *name = "";
    size_t nm = 0, nn = 0;
    if (op == 'c')
        return take_line(k, &module, &nm) && take_line(k, &name, &nn) && push_global(k, module, nm, name, nn);
    PickleValue **v = pop(k, 2);
    if (!v) return false;
    if (v[0]->kind != PK_TEXT || v[1]->kind != PK_TEXT)
        return fail(k, "the pickle names something without a text");
    return push_global(k, v[0]->s, strlen(v[0]->s), v[1]->s, strlen(v[1]->s));
}

/* ('storage', type, key, place, number of elements), and before PyTorch 1.6 None behind them */
static bool op_persid(Pickle *k, uint8_t op) {
    (void)op;
    PickleValue **v = pop(k, 1), *t = v ? *v : NULL;
    if (!t) return false;
    bool ok = t->kind == PK_TUPLE && (t->n == 5 || (t->n == 6 && t->items[5]->kind == PK_NONE)) &&
              t->items[0]->kind == PK_TEXT && !strcmp(t->items[0]->s, "storage") &&
              t->items[1]->kind == PK_NAME && t->items[1]->global->role == ROLE_STORAGE &&
              t->items[2]->kind == PK_TEXT && t->items[4]->kind == PK_INT && t->items[4]->i >= 0;
    if (!ok) return fail(k, "the pickle refers to a storage in a form that PyTorch does not write");
    PickleValue *s = push(k, PK_STORAGE);
    s->items = t->items, s->n = t->n, s->i = t->items[4]->i, s->global = t->items[1]->global,
    s->s = t->items[2]->s;
    if (k->rest) ARENA_PUSH(k->arena, k->rest->storages, k->rest->n, k->rest->cap, s);
    return true;
}

/* OrderedDict() or OrderedDict([[key, value], ...]) */
static bool call_dict(Pickle *k, const PickleValue *args) {
    PickleValue *dict = push(k, PK_DICT);
    if (args->n == 0) return true;
    const PickleValue *list = args->items[0];
    if (args->n != 1 || (list->kind != PK_LIST && list->kind != PK_TUPLE))
        return fail(k, "OrderedDict must be called with nothing or with a list of pairs");
    /* One list may be passed many times: together no more than a pickle of this size can spell out. */
    k->pairs += (size_t)list->n;
    if (k->pairs > k->size) return fail(k, "OrderedDict is called with too many pairs");
    for (int i = 0; i < list->n; i++) {
        const PickleValue *pair = list->items[i];
        if ((pair->kind != PK_LIST && pair->kind != PK_TUPLE) || pair->n != 2)
            return fail(k, "OrderedDict must be called with nothing or with a list of pairs");
        append(k, dict, pair->items, 2);
    }
    return true;
}

static bool op_reduce(Pickle *k, uint8_t op) {
    (void)op;
    PickleValue **v = pop(k, 2);
    if (!v) return false;
    const PickleValue *f = v[0], *args = v[1];
    if (f->kind != PK_NAME || args->kind != PK_TUPLE)
        return fail(k, "the pickle calls something that is not a function");
    switch (f->global->role) {
    case ROLE_DICT:
        return call_dict(k, args);
    case ROLE_PARAMETER:
        if (args->n < 1 || args->items[0]->kind != PK_TENSOR)
            return fail(k, "a parameter is built from no tensor");
        ARENA_PUSH(k->arena, k->stack, k->n, k->cap, args->items[0]);
        return true;
    case ROLE_TENSOR: {
        if (args->n < 4) return fail(k, "a tensor is built from fewer than 4 arguments");
        PickleValue *t = push(k, PK_TENSOR);
        t->global = f->global, t->items = args->items, t->n = args->n;
        return true;
    }
    case ROLE_STORAGE:
    case ROLE_DTYPE:
        break;
    }
    return fail(k, arena_printf(k->arena,
                                "the pickle calls %s.%s: btc reads tensors only and never runs a pickle",
                                f->global->module, f->global->name));
}

/* Sets attributes: PyTorch gives its state dicts a _metadata, which no tensor needs. */
static bool op_build(Pickle *k, uint8_t op) {
    (void)op;
    return pop(k, 1) && top(k, PK_DICT, "the pickle sets attributes of something that is not a dict");
}

static bool (*const OPS[256])(Pickle *, uint8_t) = {
    [0x80] = op_proto,    [0x95] = op_frame,    ['.'] = op_stop,    ['N'] = op_constant,
    [0x88] = op_constant, [0x89] = op_constant,                   /* None, True, False */
    ['J'] = op_int,       ['K'] = op_int,       ['M'] = op_int,   /* BININT, 1, 2 */
    [0x8a] = op_long,     ['G'] = op_float,                       /* LONG1, BINFLOAT */
    ['X'] = op_text,      [0x8c] = op_text,     [0x8d] = op_text, /* BINUNICODE, SHORT_, 8 */
    ['('] = op_mark,      ['}'] = op_empty,     [']'] = op_empty,   [')'] = op_empty,
    ['t'] = op_tuple,     [0x85] = op_tuple,    [0x86] = op_tuple,  [0x87] = op_tuple,
    ['a'] = op_append,    ['e'] = op_append,    ['s'] = op_setitem, ['u'] = op_setitem,
    ['q'] = op_put,       ['r'] = op_put,       [0x94] = op_put,   /* BINPUT, LONG_BINPUT, MEMOIZE */
    ['h'] = op_get,       ['j'] = op_get,                          /* BINGET, LONG_BINGET */
    ['c'] = op_global,    [0x93] = op_global,   ['Q'] = op_persid, /* GLOBAL, STACK_GLOBAL, BINPERSID */
    ['R'] = op_reduce,    ['b'] = op_build,
};

PickleValue *pickle_read(Diag *d, Arena *a, const char *file, const uint8_t *data, size_t size,
                         PickleRest *rest) {
    Pickle k = {.diag = d, .arena = a, .file = file, .data = data, .size = size, .rest = rest};
    k.stack = ARENA_ARRAY(a, PickleValue *, k.cap = 64); /* never NULL: pop(k, 0) points into it */
    if (size > MAX_PICKLE && !rest)
        return fail(&k, "the pickle is larger than 64 MB: not a state dict"), NULL;
    if (size > MAX_PICKLE) k.size = MAX_PICKLE;
    while (!k.stopped) {
        const uint8_t *op;
        k.op_at = k.at;
        if (!take(&k, 1, &op)) return NULL;
        if (!OPS[*op]) {
            fail(&k,
                 arena_printf(a,
                              "opcode 0x%02x is not one that a state dict uses: btc reads tensors only and "
                              "never runs a pickle",
                              *op));
            return NULL;
        }
        if (!OPS[*op](&k, *op)) return NULL;
    }
    if (rest) rest->used = k.at;
    if (k.n == 1 && !k.nmarks) return k.stack[0];
    fail(&k, "the pickle ends with values left over");
    return NULL;
}
