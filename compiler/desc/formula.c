/* Formulas of ops (ir/formula.h) in descriptions: a list of maps, each with a name for its result.
 *
 *     "c = sigmoid(f)*c + sigmoid(i)*tanh(g); y = sigmoid(o)*tanh(c)"
 *
 * The right side is parsed as any other map, in a temporary function. Its ops are then written as the words of the
 * formula. Any name that is not a function is taken as an input here; the op checks the inputs. */
#include <ctype.h>
#include <string.h>

#include "desc/lex.h"

static void bind_names(Scope *s, const char *text) {
    int64_t one = 1;
    for (const char *p = text; *p;) {
        if (!isalpha((unsigned char)*p) && *p != '_') {
            p += isdigit((unsigned char)*p) ? strspn(p, "0123456789.eE") : 1;
            continue;
        }
        size_t n = 0;
        while (isalnum((unsigned char)p[n]) || p[n] == '_') n++;
        const char *name = arena_strndup(s->r->arena, p, n);
        p += n;
        Value *known;
        if (p[strspn(p, " \t")] == '(' || scope_find(s, name, &known)) continue;
        scope_bind(s, name, ir_param_add(s->func, name, type_tensor(DT_F32, true, 1, &one)));
    }
}

static void add_words(Text *t, const Scope *s, const Value *v) {
    const char *name = NULL;
    for (int i = s->nnames - 1; i >= 0 && !name; i--)
        if (s->names[i].value == v) name = s->names[i].name;
    const char *blank = t->n ? " " : "";
    if (name) {
        text_add(t, "%s%s", blank, name);
        return;
    }
    const Attr *number = attr_find(v->def->attrs, "values");
    if (number) {
        text_add(t, "%s%s", blank, json_number(s->r->arena, number->floats[0]));
        return;
    }
    for (int i = 0; i < v->def->nin; i++) add_words(t, s, v->def->in[i]);
    text_add(t, " %s", v->def->def->name);
}

/* The latest thing of each name: what has another one now is computed again. */
static void rebind(Scope *s, const char *name, Value *v) {
    for (int i = 0; i < s->nnames; i++)
        if (!strcmp(s->names[i].name, name)) s->names[i].value = v;
}

static bool read_one(Lex *l, Text *t) {
    Scope *s = l->s;
    lex_peek(l);
    size_t at = l->at;
    const char *name = lex_word(l);
    if (!json_is_name(name)) return lex_error(l, at, "expected \"name = ..\"");
    if (!lex_expect(l, '=')) return false;
    Value *v = read_map_here(l);
    if (!v) return false;
    add_words(t, s, v);
    text_add(t, " =%s", name);
    /* a name of its own, so that what it was before is not taken for it */
    Op *op = ir_build(l->r->diag, s->func, s->func->body, "copy", &v, 1, NULL, NULL, 1, NULL, lex_loc(l, at));
    if (op) rebind(s, name, op->out[0]);
    return op != NULL;
}

const char *read_formula(Reader *r, const cJSON *node, const char *path) {
    Module *m = ir_module_new(r->arena, "formula");
    Scope s = {.r = r, .func = ir_func_new(m, "formula", LEVEL_MODEL)};
    Lex l = lex_of(r, &s, node, path);
    Text t = text_new(r->arena);
    bind_names(&s, l.text);
    do {
        if (!lex_peek(&l)) break;
        if (!read_one(&l, &t)) return NULL;
    } while (lex_accept(&l, ';'));
    if (lex_peek(&l)) return read_map_end(&l), NULL;
    return t.s;
}
