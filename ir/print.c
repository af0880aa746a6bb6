/* The textual IR, written. parse.c reads it; printing a parsed text gives the same text.
 *
 *     module "name" {attrs}                                attrs: name=value, ...
 *
 *     func @block(%x : f32[T,8]) do {                      after ")": `loop`, `step` or `chunk`, {attrs}
 *       state %y.h.in : f32[16] = 0.0 "y.h"                a slot: type, value at the start, name
 *       %w = weight {name="w", shape=[16,8]} : f32[16,8]  ; $.blocks.a[0]
 *       %u = linear %x, %w, _ : f32[T,16]                  _ : an absent operand
 *       %y, %h1 = scan.diag %u, %u, %y.h.in : f32[T,16], f32[16]
 *       next %y.h.in = %h1                                 the slot's value at the end, if it changes
 *       return %y "logits"                                 results; names are optional
 *     }
 *
 * Loop level: `for %lo, %hi {step=8} do (%i : i64) {` ... `}`, `if %c do {` ... `} else {` ... `}`; behind the
 * type of a parameter its role (`readonly`, `worker`, `workers`).
 * A line is a statement; a comment runs from ; to the end of the line; a comment that starts with $ at the end of
 * an op's line is the op's place in the description. The spelling tells values apart: 1 is an integer, 1.0, inf
 * and nan are floats, [1,2] and [1.0,2.0] lists of them, [.] the empty list of floats.
 * Names that are not plain are quoted: %"a b". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/arithmetic.h"
#include "op.h"

static void put_string(Text *t, const char *s) {
    text_add(t, "\"");
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_add(t, "\\%c", c);
        else if (c == '\n')
            text_add(t, "\\n");
        else if (c < 32 || c == 127)
            text_add(t, "\\x%02x", c);
        else
            text_add_n(t, s, 1);
    }
    text_add(t, "\"");
}

static void put_name(Text *t, const char *sigil, const char *name) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    text_add(t, "%s", sigil);
    if (*name && strspn(name, plain) == strlen(name))
        text_add_n(t, name, strlen(name));
    else
        put_string(t, name);
}

/* The shortest decimal text that reads back as the same number, always recognisable as a float. */
static void put_float(Text *t, double v) {
    if (isnan(v)) {
        text_add(t, "nan");
        return;
    }
    char s[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v) break;
    }
    text_add(t, "%s%s", s, strpbrk(s, ".ein") ? "" : ".0");
}

static void put_value(Text *t, const Attr *a) {
    switch (a->kind) {
    case AT_INT:
        text_add(t, "%lld", (long long)a->i);
        break;
    case AT_FLOAT:
        put_float(t, a->f);
        break;
    case AT_BOOL:
        text_add(t, a->i ? "true" : "false");
        break;
    case AT_STR:
    case AT_FORMULA:
        put_string(t, a->s);
        break;
    case AT_FORMAT:
        put_string(t, a->format->name);
        break;
    case AT_ARITHMETIC:
        put_string(t, a->arithmetic->name);
        break;
    case AT_INTS:
    case AT_FLOATS:
        text_add(t, "[");
        for (int i = 0; i < a->n; i++) {
            if (i) text_add(t, ",");
            if (a->kind == AT_INTS)
                text_add(t, "%lld", (long long)a->ints[i]);
            else
                put_float(t, a->floats[i]);
        }
        text_add(t, a->kind == AT_FLOATS && a->n == 0 ? ".]" : "]");
        break;
    }
}

static void put_attrs(Text *t, const Attr *list) {
    if (!list) return;
    text_add(t, " {");
    for (const Attr *a = list; a; a = a->next) {
        put_name(t, "", a->name);
        text_add(t, "=");
        put_value(t, a);
        if (a->next) text_add(t, ", ");
    }
    text_add(t, "}");
}

static void put_typed(Text *t, const Value *v) {
    put_name(t, "%", v->name);
    text_add(t, " : %s%s%s", type_text(t->arena, v->type), v->role ? " " : "", ir_role_name(v->role));
}

static void put_typed_list(Text *t, Value *const *v, int n) {
    text_add(t, "(");
    for (int i = 0; i < n; i++) {
        if (i) text_add(t, ", ");
        put_typed(t, v[i]);
    }
    text_add(t, ")");
}

/* A place in the description, as far as one line can hold it. */
static void put_path(Text *t, const char *path) {
    if (!path || *path != '$') return;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 32) return;
    text_add(t, "  ; ");
    text_add_n(t, path, strlen(path));
}

static void put_indent(Text *t, int depth) {
    text_add(t, "%*s", 2 * depth, "");
}

static void put_op(Text *t, const Op *op, int depth);

static void put_block(Text *t, const Block *b, int depth, const char *path) {
    if (b->nargs) {
        put_typed_list(t, b->args, b->nargs);
        text_add(t, " ");
    }
    text_add(t, "{");
    put_path(t, path);
    text_add(t, "\n");
    OPS_OF (b, op) put_op(t, op, depth + 1);
    put_indent(t, depth);
    text_add(t, "}");
}

static void put_op(Text *t, const Op *op, int depth) {
    put_indent(t, depth);
    for (int i = 0; i < op->nout; i++) {
        text_add(t, i ? ", " : "");
        put_name(t, "%", op->out[i]->name);
    }
    text_add(t, "%s%s", op->nout ? " = " : "", op->def->name);
    for (int i = 0; i < op->nin; i++) {
        text_add(t, i ? ", " : " ");
        if (op->in[i])
            put_name(t, "%", op->in[i]->name);
        else
            text_add(t, "_");
    }
    put_attrs(t, op->attrs);
    for (int i = 0; i < op->nout; i++)
        text_add(t, "%s%s", i ? ", " : " : ", type_text(t->arena, op->out[i]->type));
    if (op->body[0]) {
        text_add(t, " do ");
        put_block(t, op->body[0], depth, op->loc.path);
        if (op->body[1]) {
            text_add(t, " else ");
            put_block(t, op->body[1], depth, NULL);
        }
    } else {
        put_path(t, op->loc.path);
    }
    text_add(t, "\n");
}

static void put_ends(Text *t, const Func *f) {
    for (int i = 0; i < f->nstates; i++) {
        if (f->states[i].out == f->states[i].in) continue;
        put_name(t, "  next %", f->states[i].in->name);
        put_name(t, " = %", f->states[i].out->name);
        text_add(t, "\n");
    }
    for (int i = 0; i < f->nresults; i++) {
        put_name(t, i ? ", %" : "  return %", f->results[i]->name);
        if (!f->result_names[i]) continue;
        text_add(t, " ");
        put_string(t, f->result_names[i]);
    }
    if (f->nresults) text_add(t, "\n");
}

static void put_func(Text *t, const Func *f) {
    put_name(t, "func @", f->name);
    put_typed_list(t, f->params, f->nparams);
    if (f->level == LEVEL_LOOP) text_add(t, " loop");
    if (f->form != FORM_SEQUENCE) text_add(t, " %s", form_name(f->form));
    put_attrs(t, f->attrs);
    text_add(t, " do {\n");
    for (int i = 0; i < f->nstates; i++) {
        const State *s = &f->states[i];
        text_add(t, "  state ");
        put_typed(t, s->in);
        text_add(t, " = ");
        put_float(t, s->init);
        text_add(t, " ");
        put_string(t, s->name);
        text_add(t, "\n");
    }
    OPS_OF (f->body, op) put_op(t, op, 1);
    put_ends(t, f);
    text_add(t, "}\n");
}

char *ir_print_op(Arena *a, const Op *op) {
    Text t = text_new(a);
    put_op(&t, op, 0);
    return t.s;
}

char *ir_print_func(Arena *a, const Func *f) {
    Text t = text_new(a);
    put_func(&t, f);
    return t.s;
}

char *ir_print_module(Arena *a, const Module *m) {
    Text t = text_new(a);
    text_add(&t, "module ");
    put_string(&t, m->name);
    put_attrs(&t, m->attrs);
    text_add(&t, "\n");
    for (const Func *f = m->first; f; f = f->next) {
        text_add(&t, "\n");
        put_func(&t, f);
    }
    return t.s;
}
