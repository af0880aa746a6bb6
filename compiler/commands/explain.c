/* btc explain OP: everything an op's record says, and a statement to copy. Nothing here is written for one op
 * but for the three that no statement makes (weight, call, derived). */
#include <string.h>

#include "commands.h"
#include "kernels/op_table.h"
#include "words.h"

enum { WIDTH = PRINT_WIDTH, LEFT = 13 };

static const char USAGE[] =
    "btc explain WORD: what an op means, its operands, state, attributes and forms\n"
    "\n"
    "  btc explain scan.matrix    (btc list ops shows them all)\n"
    "  btc explain map            also: keys of a description, functions of a map, passes,\n"
    "                             options, parameters of a tuning file, BTC_E_RANGE ..\n";

static const char *const PATTERNS[] = {
    [PAT_LEAF] = "comes from outside the computation",
    [PAT_ELEMENTWISE] = "element by element, with broadcasting; runs inside the op before it",
    [PAT_VIEW] = "the same numbers under another shape; costs nothing where it can",
    [PAT_ROW] = "within one token",
    [PAT_CONTRACT] = "product with weights",
    [PAT_GATHER] = "rows of a table",
    [PAT_SCAN] = "recurrence over tokens",
    [PAT_CONV] = "convolution over tokens, channel by channel",
    [PAT_ATTEND] = "reads the whole past",
    [PAT_CALL] = "a call of a block",
    [PAT_LOOP] = "one operation of the loops that lowering writes",
};

/* "  left       text" */
static void row(const char *left, const char *text) {
    if (!text || !*text) return;
    printf("  %-*s", LEFT - 2, left);
    print_wrapped(LEFT, text);
}

/* "  left       name      text" */
static void row_of(const char *left, const char *name, const char *text) {
    enum { AT = LEFT + 11 };
    int col = printf("  %-*s%s", LEFT - 2, left, name);
    if (col >= AT) putchar('\n'), col = 0;
    printf("%*s", AT - col, "");
    print_wrapped(AT, text);
}

/* ---- operands ---- */

/* The element type that the signature gives its k-th tensor ("pos:any[t,1]"): signature_of leaves it out. */
static const char *element_type(const char *sig, int k) {
    for (; k > 0 && *sig; k--) {
        sig += strcspn(sig, " ");
        sig += strspn(sig, " ->");
    }
    size_t n = strcspn(sig, " "), colon = strcspn(sig, ":[");
    if (colon >= n || sig[colon] != ':') return "f32";
    return strncmp(sig + colon + 1, "i32", 3) ? "any" : "i32";
}

static const char *shape_text(Arena *a, const SigTensor *t, const char *type) {
    Text s = text_new(a);
    if (t->ndim < 0) {
        text_add(&s, "%s, any shape", strcmp(type, "any") ? type : "f32 or i32");
        return s.s;
    }
    text_add(&s, "%s[", strcmp(type, "any") ? type : "f32 or i32 ");
    for (int i = 0; i < t->ndim; i++) {
        text_add(&s, "%s", i ? ", " : "");
        for (const char *c = sig_dim_text(t->dim[i]); *c; c++) text_add(&s, *c == '|' ? " or " : "%c", *c);
    }
    text_add(&s, "]");
    return s.s;
}

static void tensors(Arena *a, const OpDef *def, const Signature *sig) {
    const char *left = "operands", *p = def->sig + strspn(def->sig, " ->");
    for (int i = 0; i < sig->nin; i++, left = "") {
        const SigTensor *t = &sig->in[i];
        bool repeats = (def->flags & OPF_VARIADIC) && i == sig->nin - 1;
        row_of(left, t->name,
               arena_printf(a, "%s%s%s", shape_text(a, t, element_type(p, i)),
                            t->optional ? "; may be left out" : "", repeats ? "; and more of these" : ""));
    }
    left = "results";
    for (int i = 0; i < sig->nout; i++, left = "") {
        const SigTensor *t = &sig->out[i];
        row_of(left, t->name, shape_text(a, t, element_type(p, sig->nin + i)));
    }
}

/* ---- attributes, flags, forms ---- */

static const char *attr_value(Arena *a, const AttrDef *ad) {
    static const char *const kinds[] = {
        [AT_INT] = "integer",
        [AT_FLOAT] = "number",
        [AT_BOOL] = "true or false",
        [AT_STR] = "text",
        [AT_INTS] = "integers",
        [AT_FLOATS] = "numbers",
        [AT_FORMAT] = "number format",
        [AT_ARITHMETIC] = "arithmetic",
        [AT_FORMULA] = "maps (the default in words)",
    };
    bool words = (ad->kind == AT_STR || ad->kind == AT_ARITHMETIC) && ad->str && strchr(ad->str, '|');
    Text t = text_new(a);
    text_add(&t, "%s", words ? ad->str : kinds[ad->kind]);
    if ((ad->kind == AT_INT || ad->kind == AT_FLOAT) && ad->str) text_add(&t, " %s", range_text(a, ad->str));
    if (ad->required) {
        text_add(&t, ", required");
    } else if (ad->kind == AT_INT || ad->kind == AT_FLOAT) {
        text_add(&t, ", default %g", ad->otherwise);
    } else if (ad->kind == AT_BOOL) {
        text_add(&t, ", default %s", ad->otherwise != 0 ? "true" : "false");
    } else if (words) {
        text_add(&t, ", default %.*s", (int)strcspn(ad->str, "|"), ad->str);
    } else if (ad->str && *ad->str) {
        text_add(&t, ", default %s", ad->str);
    }
    return t.s;
}

static void attributes(Arena *a, const OpDef *def) {
    const char *left = "attributes";
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++, left = "")
        row_of(left, ad->name, arena_printf(a, "%s: %s", attr_value(a, ad), ad->doc ? ad->doc : ""));
}

static void flags(const OpDef *def) {
    if (def->flags & OPF_COMMUTES) row("", "the first two operands may swap");
    if (def->flags & OPF_CONST_ONLY)
        row("", "only for what is known before anything runs (weights, constants)");
    if (def->flags & OPF_WHOLE) row("", "needs whole sequences: a model with it has no step");
    if (def->flags & OPF_EFFECT) row("", "has an effect beyond its results");
}

static void forms(Arena *a, const OpDef *def) {
    const char *left = "forms";
    if (op_lowering(def)->forms)
        row(left, "for chunks of tokens, the first that suits (btc report says which and why):"), left = "";
    for (const OpForm *f = op_lowering(def)->forms; f && f->name; f++)
        row_of("", f->name, arena_printf(a, "%s%s", f->doc ? f->doc : "", f->refuse ? " (not always)" : ""));
}

/* ---- an example, from the signature ---- */

/* A weight where the operand has no T, else a value of the operand's own name. */
static const char *example_operand(Arena *a, const SigTensor *t) {
    if (t->ndim < 0 || sig_has_t(t) || sig_may_have_t(t)) return t->name;
    Text s = text_new(a);
    text_add(&s, "@%s[", t->name);
    for (int i = 0; i < t->ndim; i++) text_add(&s, "%s%s", i ? ", " : "", t->dim[i]);
    text_add(&s, "]");
    return s.s;
}

static const char *example_attr(Arena *a, const AttrDef *ad) {
    switch (ad->kind) {
    case AT_INT:
        return "2";
    case AT_FLOAT:
        return "1.0";
    case AT_BOOL:
        return "true";
    case AT_INTS:
        return "[0, 1]";
    case AT_FLOATS:
        return "[0.5, 1.0]";
    case AT_FORMULA:
        return "\"y = tanh(a)\"";
    case AT_STR:
    case AT_FORMAT:
    case AT_ARITHMETIC:
        break;
    }
    const char *word = ad->str ? ad->str : "name";
    return arena_printf(a, "\"%.*s\"", (int)strcspn(word, "|"), word);
}

/* The statement's members, one text each; returns how many. */
static int example_members(Arena *a, const OpDef *def, const Signature *sig, const char ***all) {
    int n = 0, nattrs = 0;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) nattrs++;
    const char **out = *all = ARENA_ARRAY(a, const char *, sig->nin + nattrs + 4);
    Text names = text_new(a);
    for (int i = 0; i < sig->nout; i++) text_add(&names, "%s\"%s\"", i ? ", " : "", sig->out[i].name);
    out[n++] = arena_printf(a, sig->nout == 1 ? "\"out\": %s" : "\"out\": [%s]", names.s);
    out[n++] = arena_printf(a, "\"op\": \"%s\"", def->name);
    if (def->flags & OPF_VARIADIC) {
        out[n++] = "\"in\": [\"a\", \"b\", \"c\"]";
    } else {
        for (int i = 0; i < sig->nin; i++)
            out[n++] = arena_printf(a, "\"%s\": \"%s\"", sig->in[i].name, example_operand(a, &sig->in[i]));
    }
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++)
        if (ad->required && strcmp(ad->name, "context")) /* that one comes from the description's top */
            out[n++] = arena_printf(a, "\"%s\": %s", ad->name, example_attr(a, ad));
    Text slots = text_new(a);
    for (const char *p = def->state; p && *p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL) {
        p += strspn(p, " ");
        text_add(&slots, "%s\"%.*s\"", slots.n ? ", " : "", (int)strcspn(p, "["), p);
    }
    if (slots.n)
        out[n++] = arena_printf(a, strchr(slots.s, ',') ? "\"state\": [%s]" : "\"state\": %s", slots.s);
    return n;
}

static void example(Arena *a, const OpDef *def, const Signature *sig) {
    if (def->level == LEVEL_LOOP) return row("seen in", "btc MODEL --emit=loops");
    if (def == OP_TABLE[OP_weight]) return row("example", "\"w\": \"@proj.weight[D, E]\" as an operand");
    if (def->flags & OPF_INTERNAL) return row("made by", "the compiler (btc MODEL --emit=ir)");
    if (def->pattern == PAT_CALL)
        return row("example", "{ \"layers\": 24, \"pattern\": [\"block\"], \"prefix\": \"layers.{i}.\" }");
    const char **members;
    int n = example_members(a, def, sig, &members), col = LEFT + 2;
    printf("  %-*s{ ", LEFT - 2, "example");
    for (int i = 0; i < n; i++) {
        int len = (int)strlen(members[i]) + 2;
        if (i && col + len > WIDTH) {
            printf("\n%*s", LEFT + 2, "");
            col = LEFT + 2;
        } else if (i) {
            putchar(' ');
        }
        col += len;
        printf("%s%s", members[i], i + 1 < n ? "," : "");
    }
    printf(" }\n");
    if (def->pattern != PAT_ELEMENTWISE) return;
    Text args = text_new(a);
    for (int i = 0; i < sig->nin; i++) text_add(&args, "%s%s", i ? ", " : "", sig->in[i].name);
    row("or", arena_printf(a, "{ \"out\": \"y\", \"map\": \"%s(%s)\" }", def->name, args.s));
}

/* ---- the command ---- */

static void explain(Arena *a, const OpDef *def) {
    printf("%s%s\n", def->name, def->level == LEVEL_LOOP ? " (loop level)" : "");
    const Signature *sig = signature_of(a, def);
    row("", def->doc);
    row("formula", def->formula);
    row("source", def->source);
    row("signature", def->sig);
    if (def->sig) tensors(a, def, sig);
    row("state", def->state);
    if (def->state) row("", "one per sequence, kept between calls; \"state\" may name the slots");
    attributes(a, def);
    row("kind", PATTERNS[def->pattern]);
    flags(def);
    forms(a, def);
    if (def->level == LEVEL_MODEL && def->pattern != PAT_LEAF && def->pattern != PAT_CALL)
        row("tolerance", arena_printf(a, "%g of the largest result, compiled against exact",
                                      def->tolerance > 0 ? def->tolerance : 1e-5));
    example(a, def, sig);
}

/* Some names exist on both levels, and some are words of a description, too. */
static int explain_ops(Arena *a, const char *name) {
    int found = 0;
    for (int i = 0; i < OP_COUNT; i++) {
        if (strcmp(name, OP_TABLE[i]->name)) continue;
        if (found++) putchar('\n');
        explain(a, OP_TABLE[i]);
    }
    return found;
}

static bool explain_word(Diag *d, Arena *a, const char *name) {
    const char *spelling = word_spelling(name), *serves = word_serves(name), *names[OP_COUNT + 128];
    if (spelling)
        return printf("\"%s\" in a map is the op %s.\n\n", name, spelling), explain_ops(a, spelling) > 0;
    bool op = explain_ops(a, name) > 0;
    if (!op && word_explain(a, name)) return true;
    if (op) return true;
    if (serves)
        return diag_usage(d, (Loc){0}, "there is no op \"%s\"; %s serves (btc explain %s)", name, serves,
                          serves);
    int n = word_list(names, 128);
    for (int i = 0; i < OP_COUNT; i++) names[n++] = OP_TABLE[i]->name;
    return diag_usage(d, (Loc){0},
                      "there is no op \"%s\"%s, nor a word of descriptions; btc list ops shows them all",
                      name, diag_did_you_mean(a, name, names, n));
}

int command_explain(int argc, char **argv) {
    const char *name = NULL;
    bool sign = argc == 2 && *argv[1] == '-' && strcmp(argv[1], "-h") && strcmp(argv[1], "--help");
    int status = sign ? -1 : parse_options(argc, argv, USAGE, (Option[]){{0}}, &name);
    if (sign) name = argv[1];
    if (status >= 0) return status;
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    bool ok = name ? explain_word(&d, a, name)
                   : diag_usage(&d, (Loc){0}, "explain which op? btc list ops shows them");
    arena_free(a);
    return diag_status(&d, ok);
}
