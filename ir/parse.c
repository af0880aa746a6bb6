/* Parses the textual IR; print.c describes the grammar. One pass over the characters, a line per statement. The first
 * error ends parsing. The parser is fuzzed: any bytes give a module or a message with line and column, never a crash.
 * A module that it accepts may still be wrong; ir_verify checks that. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "reader.h"

enum { MAX_NESTING = 60 };

typedef struct Names { /* name -> value in the function that is read */
    Value **slots;
    size_t cap, n;
} Names;

typedef struct Parser {
    Reader r;
    int nesting;
    Module *m;
    Func *f;
    Names names;
} Parser;

/* ---- names of values ---- */

static size_t name_slot(const Names *t, const char *name) {
    size_t h = 14695981039346656037u;
    for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    while (t->slots[h &= t->cap - 1] && strcmp(t->slots[h]->name, name)) h++;
    return h;
}

static Value *find_name(const Names *t, const char *name) {
    return t->cap ? t->slots[name_slot(t, name)] : NULL;
}

static void add_name(Arena *a, Names *t, Value *v) {
    if (2 * t->n >= t->cap) {
        Names big = {.cap = t->cap ? 2 * t->cap : 64};
        big.slots = ARENA_ARRAY(a, Value *, big.cap);
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i]) add_name(a, &big, t->slots[i]);
        *t = big;
    }
    t->slots[name_slot(t, v->name)] = v, t->n++;
}

/* ---- values ---- */

static bool define(Parser *s, Value **out) {
    const char *n;
    if (!read_name(&s->r, '%', &n)) return false;
    if (find_name(&s->names, n)) return diag_error(s->r.d, read_here(&s->r), "%%%s is defined twice", n);
    Value *v = *out = ARENA_NEW(s->r.a, Value);
    v->name = n;
    add_name(s->r.a, &s->names, v);
    /* Names that passes invent end in a number: they go on above the largest one. */
    size_t len = strlen(n), digits = 0;
    while (digits < len && isdigit((unsigned char)n[len - 1 - digits])) digits++;
    if (digits > 0 && digits < 9 && atoi(n + len - digits) >= s->f->next_name)
        s->f->next_name = atoi(n + len - digits) + 1;
    return true;
}

static bool use(Parser *s, Value **out) {
    const char *n;
    Parser at = *s;
    if (!read_name(&s->r, '%', &n)) return false;
    *out = find_name(&s->names, n);
    return *out || diag_error(s->r.d, read_here(&at.r), "%%%s is not defined before its use", n);
}

/* (%a : type role, ...) with the opening parenthesis read. */
static bool typed_list(Parser *s, Value ***out, int *n, int *cap) {
    if (accept_char(&s->r, ')')) return true;
    do {
        Value *v;
        if (!define(s, &v) || !expect_char(&s->r, ':') || !read_type(&s->r, &v->type)) return false;
        for (ParamRole r = PARAM_READONLY; r <= PARAM_WORKERS; r++)
            if (accept_word(&s->r, ir_role_name(r))) v->role = r;
        v->index = *n;
        ARENA_PUSH(s->r.a, *out, *n, *cap, v);
    } while (accept_char(&s->r, ','));
    return expect_char(&s->r, ')');
}

/* ---- ops and blocks ---- */

/* Both levels have an `add`: the level of the function decides. */
static const OpDef *op_named(Parser *s, const char *n) {
    for (int i = 0; i < OP_COUNT; i++)
        if (OP_TABLE[i]->level == s->f->level && !strcmp(OP_TABLE[i]->name, n)) return OP_TABLE[i];
    const char *hint = op_did_you_mean(s->r.a, n, s->f->level);
    diag_error(s->r.d, read_here(&s->r), "there is no %s op \"%s\"%s",
               s->f->level == LEVEL_LOOP ? "loop" : "model", n, hint);
    return NULL;
}

static bool statements(Parser *s, Block *b);

/* `(args) {` statements `}`; path: where a comment behind the brace goes. */
static bool block(Parser *s, Op *owner, int which, const char **path) {
    Block *b = ir_block_new(s->f, owner);
    owner->body[which] = b;
    int cap = 0;
    if (accept_char(&s->r, '(') && !typed_list(s, &b->args, &b->nargs, &cap)) return false;
    if (!expect_char(&s->r, '{') || !read_end_of_line(&s->r, path)) return false;
    if (++s->nesting > MAX_NESTING) return read_fail(&s->r, "blocks are nested too deeply");
    if (!statements(s, b)) return false;
    s->nesting--;
    return expect_char(&s->r, '}');
}

static bool operands(Parser *s, Value ***in, int *n) {
    int cap = 0;
    read_blanks(&s->r);
    if (*s->r.p != '%' && *s->r.p != '_') return true;
    do {
        Value *v = NULL;
        if (!accept_word(&s->r, "_") && !use(s, &v)) return false;
        ARENA_PUSH(s->r.a, *in, *n, cap, v);
    } while (accept_char(&s->r, ','));
    return true;
}

static bool result_types(Parser *s, Op *op) {
    if (!accept_char(&s->r, ':')) return true; /* left to ir_infer_func */
    for (int i = 0; i < op->nout; i++) {
        if (i && !expect_char(&s->r, ',')) return false;
        if (!read_type(&s->r, &op->out[i]->type)) return false;
    }
    return true;
}

static bool op_statement(Parser *s, Block *b) {
    Loc loc = read_here(&s->r);
    Value **out = NULL, **in = NULL;
    int nout = 0, out_cap = 0, nin = 0;
    if (*s->r.p == '%') {
        do {
            Value *v;
            if (!define(s, &v)) return false;
            v->index = nout;
            ARENA_PUSH(s->r.a, out, nout, out_cap, v);
        } while (accept_char(&s->r, ','));
        if (!expect_char(&s->r, '=')) return false;
    }
    read_blanks(&s->r);
    const char *n = read_word(&s->r);
    if (!n) return read_fail(&s->r, "expected an op");
    const OpDef *def = op_named(s, n);
    if (!def || !operands(s, &in, &nin)) return false;
    for (int i = 0; i < nin; i++)
        for (int k = 0; k < nout; k++)
            if (in[i] == out[k]) return read_fail(&s->r, "the op uses its own result");
    Op *op = ir_op_new(s->f, def, in, nin, 0, loc);
    op->out = out, op->nout = nout;
    for (int i = 0; i < nout; i++) out[i]->def = op;
    if (!read_attrs(&s->r, &op->attrs) || !result_types(s, op)) return false;
    if (accept_word(&s->r, "do")) {
        if (!block(s, op, 0, &op->loc.path)) return false;
        if (accept_word(&s->r, "else") && !block(s, op, 1, NULL)) return false;
        if (!read_end_of_line(&s->r, NULL)) return false;
    } else if (!read_end_of_line(&s->r, &op->loc.path)) {
        return false;
    }
    return ir_append(b, op), true;
}

static bool statements(Parser *s, Block *b) {
    for (;;) {
        read_lines(&s->r);
        if (*s->r.p == 0) return read_fail(&s->r, "a } is missing");
        if (*s->r.p == '}') return true;
        Parser peek = *s;
        if (accept_word(&peek.r, "next") || accept_word(&peek.r, "return"))
            return b == s->f->body || read_fail(&s->r, "only at the end of a function");
        if (!op_statement(s, b)) return false;
    }
}

/* ---- functions ---- */

static bool state_line(Parser *s) {
    Value *v;
    const char *slot;
    bool is_int;
    int64_t i;
    double init;
    if (!define(s, &v) || !expect_char(&s->r, ':') || !read_type(&s->r, &v->type)) return false;
    if (!expect_char(&s->r, '=') || !read_number(&s->r, &is_int, &i, &init) || !read_string(&s->r, &slot))
        return false;
    State st = {.name = slot, .type = v->type, .init = init, .in = v, .out = v};
    ARENA_PUSH(s->r.a, s->f->states, s->f->nstates, s->f->states_cap, st);
    return read_end_of_line(&s->r, NULL);
}

static bool next_line(Parser *s) {
    Value *slot, *v;
    if (!use(s, &slot)) return false;
    State *st = ir_state_of(s->f, slot);
    if (!st) return diag_error(s->r.d, read_here(&s->r), "%%%s is not a state", slot->name);
    if (!expect_char(&s->r, '=') || !use(s, &v)) return false;
    st->out = v;
    return read_end_of_line(&s->r, NULL);
}

static bool return_line(Parser *s) {
    do {
        Value *v;
        const char *result = NULL;
        if (!use(s, &v)) return false;
        read_blanks(&s->r);
        if (*s->r.p == '"' && !read_string(&s->r, &result)) return false;
        ir_result_add(s->f, result, v);
    } while (accept_char(&s->r, ','));
    return read_end_of_line(&s->r, NULL);
}

static bool func_header(Parser *s) {
    const char *n;
    Loc loc = read_here(&s->r);
    if (!read_name(&s->r, '@', &n)) return false;
    if (ir_func_find(s->m, n)) return diag_error(s->r.d, loc, "@%s is defined twice", n);
    s->f = ir_func_new(s->m, n, LEVEL_MODEL);
    s->f->loc = loc, s->names = (Names){0};
    if (!expect_char(&s->r, '(') || !typed_list(s, &s->f->params, &s->f->nparams, &s->f->params_cap))
        return false;
    if (accept_word(&s->r, "loop")) s->f->level = LEVEL_LOOP;
    if (accept_word(&s->r, "step"))
        s->f->form = FORM_STEP;
    else if (accept_word(&s->r, "chunk"))
        s->f->form = FORM_CHUNK;
    if (!read_attrs(&s->r, &s->f->attrs)) return false;
    if (!accept_word(&s->r, "do")) return read_fail(&s->r, "expected do");
    return expect_char(&s->r, '{') && read_end_of_line(&s->r, NULL);
}

static bool function(Parser *s) {
    if (!func_header(s)) return false;
    for (read_lines(&s->r); accept_word(&s->r, "state"); read_lines(&s->r))
        if (!state_line(s)) return false;
    if (!statements(s, s->f->body)) return false;
    for (; accept_word(&s->r, "next"); read_lines(&s->r))
        if (!next_line(s)) return false;
    if (accept_word(&s->r, "return")) {
        if (!return_line(s)) return false;
        read_lines(&s->r);
    }
    return expect_char(&s->r, '}') && read_end_of_line(&s->r, NULL);
}

Module *ir_parse(Diag *d, Arena *a, const char *file, const char *text) {
    Parser s = {
        .r = {.d = d, .a = a, .file = file ? file : "text", .p = text, .line_start = text, .line = 1}};
    const char *module_name;
    read_lines(&s.r);
    if (!accept_word(&s.r, "module")) return read_fail(&s.r, "expected module \"name\""), NULL;
    if (!read_string(&s.r, &module_name)) return NULL;
    s.m = ir_module_new(a, module_name);
    if (!read_attrs(&s.r, &s.m->attrs) || !read_end_of_line(&s.r, NULL)) return NULL;
    for (read_lines(&s.r); *s.r.p; read_lines(&s.r)) {
        if (!accept_word(&s.r, "func")) return read_fail(&s.r, "expected func"), NULL;
        if (!function(&s)) return NULL;
    }
    return s.m;
}
