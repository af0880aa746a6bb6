/* Checks attributes: they have the kind that the op's record declares, are one of its words or within its range, and
 * f32 can hold them, because compiled code computes in f32. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/arithmetic.h"
#include "op.h"

static const char *const KIND_TEXT[] = {
    [AT_INT] = "an integer",          [AT_FLOAT] = "a number",
    [AT_BOOL] = "true or false",      [AT_STR] = "a string",
    [AT_INTS] = "a list of integers", [AT_FLOATS] = "a list of numbers",
    [AT_FORMAT] = "a number format",  [AT_ARITHMETIC] = "an arithmetic of products",
    [AT_FORMULA] = "a string",
};

/* Front ends know numbers and strings only; the table knows which are integers, and which are names of records. */
void attr_convert(Arena *a, Attr *t, AttrKind want) {
    if (want == AT_FORMAT && t->kind == AT_STR && t->s && (t->format = format_find(t->s)))
        t->kind = AT_FORMAT, t->s = NULL;
    if (want == AT_ARITHMETIC && t->kind == AT_STR && t->s && (t->arithmetic = arithmetic_find(t->s)))
        t->kind = AT_ARITHMETIC, t->s = NULL;
    if (want == AT_FLOAT && t->kind == AT_INT) t->f = (double)t->i, t->kind = AT_FLOAT;
    if (want == AT_INT && t->kind == AT_FLOAT && t->f >= -9e15 && t->f <= 9e15 &&
        (double)(int64_t)t->f == t->f)
        t->i = (int64_t)t->f, t->kind = AT_INT;
    if (want == AT_FLOATS && t->kind == AT_INTS) {
        double *v = ARENA_ARRAY(a, double, t->n);
        for (int i = 0; i < t->n; i++) v[i] = (double)t->ints[i];
        t->floats = v, t->ints = NULL, t->kind = AT_FLOATS;
    }
}

/* words "a|b|c": whether s is one of them. */
static bool one_of(const char *words, const char *s) {
    size_t n = strlen(s);
    for (const char *p = words; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (n && strcspn(p, "|") == n && !strncmp(p, s, n)) return true;
    return false;
}

bool range_next(const char **range, Bound *out) {
    if (!*range || !**range) return false;
    out->above = **range == '>', out->equal = (*range)[1] == '=';
    char *end;
    out->at = strtod(*range + 1 + out->equal, &end);
    return *range = end + strspn(end, " "), true;
}

const char *range_text(Arena *a, const char *range) {
    Text t = text_new(a);
    for (Bound b; range_next(&range, &b);)
        text_add(&t, "%s%s %g", *t.s ? " and " : "",
                 b.above   ? b.equal ? "at least" : "above"
                 : b.equal ? "at most"
                           : "below",
                 b.at);
    return t.s;
}

static bool in_range(const char *range, double v) {
    for (Bound b; range_next(&range, &b);)
        if (!(b.above ? v > b.at : v < b.at) && !(b.equal && v == b.at)) return false;
    return true;
}

const char *number_wrong(Arena *a, double v, const char *range) {
    double most = 0x1.fffffep127, least = 0x1p-126;
    if (isnan(v)) return "is NaN, which is no number to compute with";
    if (!in_range(range, v)) return arena_printf(a, "must be %s, got %g", range_text(a, range), v);
    if (v == 0 || (fabs(v) >= least && fabs(v) <= most)) return NULL;
    return arena_printf(a, "%g is too %s: models compute in f32, from %.3g to %.3g", v,
                        fabs(v) < least ? "small" : "large", least, most);
}

static const char *list_wrong(Arena *a, const AttrDef *ad, const Attr *t) {
    for (int i = 0; i < t->n; i++) {
        const char *wrong = number_wrong(a, t->floats[i], ad->str);
        if (wrong) return arena_printf(a, "number %d: %s", i, wrong);
    }
    return NULL;
}

const char *attr_wrong(Arena *a, const AttrDef *ad, const Attr *t) {
    bool words = ad->str && strchr(ad->str, '|');
    const char *word = t->kind == AT_STR ? t->s : t->kind == AT_ARITHMETIC ? t->arithmetic->name : NULL;
    if (words && word && !one_of(ad->str, word))
        return arena_printf(a, "must be one of %s, got \"%s\"", ad->str, word);
    if (t->kind != (ad->kind == AT_FORMULA ? AT_STR : ad->kind) || (t->kind == AT_STR && !t->s))
        return arena_printf(a, "must be %s", KIND_TEXT[ad->kind]);
    if (t->kind == AT_FLOATS) return list_wrong(a, ad, t);
    if (t->kind == AT_FLOAT) return number_wrong(a, t->f, ad->str);
    if (t->kind == AT_INT && !in_range(ad->str, (double)t->i))
        return arena_printf(a, "must be %s, got %lld", range_text(a, ad->str), (long long)t->i);
    return NULL;
}

bool attrs_check(Diag *d, Func *f, const Op *op) {
    Arena *a = f->module->arena;
    for (const AttrDef *ad = op->def->attrs; ad && ad->name; ad++) {
        Attr *t = op->attrs;
        while (t && strcmp(t->name, ad->name)) t = t->next;
        if (!t && ad->required)
            return diag_error(d, op->loc, "%s: attribute %s is missing (%s)", op->def->name, ad->name,
                              ad->doc);
        if (!t) continue;
        attr_convert(a, t, ad->kind);
        const char *wrong = attr_wrong(a, ad, t);
        if (wrong) return diag_error(d, op->loc, "%s: attribute %s: %s", op->def->name, ad->name, wrong);
    }
    return true;
}
