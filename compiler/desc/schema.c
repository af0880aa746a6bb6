/* The JSON Schema (draft 2020-12) of descriptions, for editors: names of ops, operands and attributes with
 * their documentation while one types. Generated from the table of ops, so it cannot fall behind. */
#include <string.h>

#include "desc/desc.h"
#include "desc/json.h"
#include "op.h"

static cJSON *ref(const char *name) {
    cJSON *n = cJSON_CreateObject();
    char path[64];
    snprintf(path, sizeof path, "#/$defs/%s", name);
    cJSON_AddStringToObject(n, "$ref", path);
    return n;
}

static cJSON *described(cJSON *n, const char *doc) {
    if (doc && *doc) cJSON_AddStringToObject(n, "description", doc);
    return n;
}

static cJSON *typed(const char *type, const char *doc) {
    cJSON *n = cJSON_CreateObject();
    cJSON_AddStringToObject(n, "type", type);
    return described(n, doc);
}

static cJSON *array_of(cJSON *items, const char *doc) {
    cJSON *n = typed("array", doc);
    cJSON_AddItemToObject(n, "items", items);
    return n;
}

/* One or a list of them. */
static cJSON *one_or_many(cJSON *one, cJSON *same, const char *doc) {
    cJSON *n = described(cJSON_CreateObject(), doc), *any = cJSON_AddArrayToObject(n, "anyOf");
    cJSON_AddItemToArray(any, one);
    cJSON_AddItemToArray(any, array_of(same, NULL));
    return n;
}

/* An object that has `required` (up to NULL) and nothing but its properties, which the caller adds. */
static cJSON *object_of(const char *doc, const char *const *required, cJSON **properties) {
    cJSON *n = typed("object", doc);
    cJSON *list = cJSON_AddArrayToObject(n, "required");
    for (; *required; required++) cJSON_AddItemToArray(list, cJSON_CreateString(*required));
    cJSON_AddFalseToObject(n, "additionalProperties");
    *properties = cJSON_AddObjectToObject(n, "properties");
    cJSON_AddItemToObject(*properties, "comment", ref("comment"));
    return n;
}

/* ---- ops ---- */

/* "x[t,*,i]" */
static const char *tensor_text(Arena *a, const SigTensor *t) {
    Text s = text_new(a);
    text_add(&s, "%s%s", t->name, t->ndim < 0 ? "" : "[");
    for (int i = 0; i < t->ndim; i++) text_add(&s, "%s%s", i ? "," : "", t->dim[i]);
    if (t->ndim >= 0) text_add(&s, "]");
    if (t->optional) text_add(&s, ", may be left out");
    return s.s;
}

/* words "a|b|c" */
static cJSON *word_list(const char *words) {
    cJSON *list = cJSON_CreateArray();
    for (const char *p = words; *p;) {
        size_t n = strcspn(p, "|");
        cJSON *word = cJSON_CreateString(p);
        word->valuestring[n] = 0;
        cJSON_AddItemToArray(list, word);
        p += n;
        p += *p == '|';
    }
    return list;
}

static void add_range(cJSON *n, const char *range) {
    static const char *const keys[2][2] = {{"exclusiveMaximum", "maximum"}, {"exclusiveMinimum", "minimum"}};
    for (Bound b; range_next(&range, &b);) cJSON_AddNumberToObject(n, keys[b.above][b.equal], b.at);
}

static cJSON *attr_schema(const AttrDef *ad) {
    cJSON *n = NULL;
    bool words = ad->str && strchr(ad->str, '|');
    switch (ad->kind) {
    case AT_INT:
        n = described(ref("size"), ad->doc);
        break;
    case AT_FLOAT:
        n = typed("number", ad->doc);
        add_range(n, ad->str);
        break;
    case AT_BOOL:
        n = typed("boolean", ad->doc);
        break;
    case AT_INTS:
        n = array_of(ref("size"), ad->doc);
        break;
    case AT_FLOATS:
        n = array_of(typed("number", NULL), ad->doc);
        break;
    case AT_STR:
    case AT_FORMAT:
    case AT_ARITHMETIC:
    case AT_FORMULA:
        n = typed("string", ad->doc);
        if (words) cJSON_AddItemToObject(n, "enum", word_list(ad->str));
        break;
    }
    if (ad->required) return n;
    if (ad->kind == AT_INT || ad->kind == AT_FLOAT) cJSON_AddNumberToObject(n, "default", ad->otherwise);
    if (ad->kind == AT_BOOL) cJSON_AddBoolToObject(n, "default", ad->otherwise != 0);
    if (words)
        cJSON_AddItemToObject(n, "default", cJSON_Duplicate(cJSON_GetArrayItem(json_get(n, "enum"), 0), 1));
    return n;
}

/* Required operands come by name, or all of them as "in". */
static void require_operands(cJSON *schema, const Signature *sig) {
    cJSON *names = cJSON_CreateArray();
    for (int i = 0; i < sig->nin; i++)
        if (!sig->in[i].optional) cJSON_AddItemToArray(names, cJSON_CreateString(sig->in[i].name));
    if (!names->child) {
        cJSON_Delete(names);
        return;
    }
    cJSON *any = cJSON_AddArrayToObject(schema, "anyOf"), *by_name = cJSON_CreateObject(),
          *in_order = cJSON_CreateObject();
    cJSON_AddItemToObject(by_name, "required", names);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(in_order, "required"), cJSON_CreateString("in"));
    cJSON_AddItemToArray(any, by_name);
    cJSON_AddItemToArray(any, in_order);
}

static cJSON *op_schema(Arena *a, const OpDef *def) {
    const Signature *sig = signature_of(a, def);
    int n = 2;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) n++;
    const char **required = ARENA_ARRAY(a, const char *, n + 1); /* ends with NULL */
    required[0] = "op", required[1] = "out", n = 2;
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++)
        if (ad->required && strcmp(ad->name, "context") != 0) required[n++] = ad->name; /* see statement.c */
    const char *doc =
        arena_printf(a, "%s %s. Signature: %s", def->doc, def->formula, def->sig ? def->sig : "");
    cJSON *p, *o = object_of(doc, required, &p), *name = cJSON_AddObjectToObject(p, "op");
    cJSON_AddStringToObject(name, "const", def->name);
    described(name, def->doc);
    cJSON_AddItemToObject(p, "out", ref("names"));
    if (sig->nin)
        cJSON_AddItemToObject(p, "in", described(array_of(ref("operand"), NULL), "all operands, in order"));
    for (int i = 0; i < sig->nin; i++)
        cJSON_AddItemToObject(p, sig->in[i].name, described(ref("operand"), tensor_text(a, &sig->in[i])));
    for (const AttrDef *ad = def->attrs; ad && ad->name; ad++)
        cJSON_AddItemToObject(p, ad->name, attr_schema(ad));
    if (op_state_count(def))
        cJSON_AddItemToObject(p, "state",
                              described(ref("names"), arena_printf(a, "names of the state: %s", def->state)));
    require_operands(o, sig);
    return o;
}

static bool is_statement(const OpDef *def) {
    return def->level == LEVEL_MODEL && def->pattern != PAT_CALL && !(def->flags & OPF_INTERNAL) &&
           strcmp(def->name, "weight") != 0;
}

/* ---- the other statements ---- */

static cJSON *map_schema(void) {
    static const char *const required[] = {"map", "out", NULL};
    cJSON *p, *o = object_of("Elementwise arithmetic.", required, &p);
    cJSON_AddItemToObject(p, "map",
                          typed("string", "+ - * / < ( ), numbers, values, @weights, elementwise functions"));
    cJSON_AddItemToObject(p, "out", ref("name"));
    return o;
}

static cJSON *split_schema(void) {
    static const char *const required[] = {"split", "sizes", "out", NULL};
    cJSON *p, *o = object_of("Parts of the last axis.", required, &p);
    cJSON_AddItemToObject(p, "split", ref("operand"));
    cJSON_AddItemToObject(p, "sizes", array_of(ref("size"), "the width of each part"));
    cJSON_AddItemToObject(p, "out", ref("names"));
    return o;
}

static cJSON *layers_schema(void) {
    static const char *const required[] = {"layers", "pattern", "prefix", NULL};
    cJSON *p, *o = object_of("Calls of blocks, one after the other.", required, &p);
    cJSON_AddItemToObject(p, "layers", described(ref("size"), "how many"));
    cJSON_AddItemToObject(p, "pattern",
                          described(ref("names"), "the blocks' names, repeated as often as needed"));
    cJSON_AddItemToObject(p, "prefix",
                          typed("string", "of the weights' names; {i} is the number of the layer"));
    cJSON_AddItemToObject(p, "from",
                          described(ref("size"), "number of the first layer; default: layers so far"));
    return o;
}

static cJSON *block_schema(void) {
    static const char *const required[] = {"ops", NULL};
    cJSON *p, *o = object_of("A kind of layer, written once.", required, &p);
    cJSON_AddItemToObject(p, "in", described(ref("names"), "values it takes, default [\"x\"]"));
    cJSON_AddItemToObject(p, "out", described(ref("names"), "values it gives, default those of `in`"));
    cJSON_AddItemToObject(p, "ops", array_of(ref("statement"), NULL));
    return o;
}

static cJSON *any_of(int n, cJSON *const *items) {
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "anyOf");
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, items[i]);
    return o;
}

static cJSON *definitions(Arena *a) {
    cJSON *defs = cJSON_CreateObject();
    cJSON_AddItemToObject(
        defs, "comment",
        one_or_many(typed("string", NULL), typed("string", NULL), "for readers; has no effect"));
    cJSON *name = typed("string", "letters, digits, _");
    cJSON_AddStringToObject(name, "pattern", "^[A-Za-z_][A-Za-z0-9_]*$");
    cJSON_AddItemToObject(defs, "name", name);
    cJSON_AddItemToObject(defs, "names", one_or_many(ref("name"), ref("name"), NULL));
    cJSON_AddItemToObject(defs, "size",
                          described(any_of(2, (cJSON *[]){typed("integer", NULL), typed("string", NULL)}),
                                    "a whole number, a dimension, or arithmetic: \"2*E + N\""));
    cJSON_AddItemToObject(defs, "operand",
                          described(any_of(3, (cJSON *[]){typed("string", NULL), typed("number", NULL),
                                                          array_of(typed("number", NULL), NULL)}),
                                    "the name of a value, a weight (\"@name[shape]\"; @/name: without the "
                                    "layer's prefix), or numbers"));
    cJSON *statement = cJSON_AddObjectToObject(defs, "statement"),
          *kinds = cJSON_AddArrayToObject(statement, "anyOf");
    cJSON_AddItemToArray(kinds, map_schema());
    cJSON_AddItemToArray(kinds, split_schema());
    for (int i = 0; i < OP_COUNT; i++)
        if (is_statement(OP_TABLE[i])) cJSON_AddItemToArray(kinds, op_schema(a, OP_TABLE[i]));
    cJSON_AddItemToObject(defs, "layers", layers_schema());
    cJSON_AddItemToObject(defs, "block", block_schema());
    return defs;
}

static cJSON *input_schema(void) {
    cJSON *both[2];
    static const char *const keys[] = {"tokens", "features"};
    for (int i = 0; i < 2; i++) {
        cJSON *p;
        both[i] = object_of(i ? "rows of numbers: the value `input`" : "token ids: the value `tokens`",
                            (const char *const[]){keys[i], NULL}, &p);
        cJSON_AddItemToObject(p, keys[i],
                              described(ref("size"), i ? "their width" : "how many ids there are"));
    }
    return any_of(2, both);
}

static cJSON *map_of(cJSON *values, const char *doc) {
    cJSON *n = typed("object", doc);
    cJSON_AddItemToObject(n, "additionalProperties", values);
    return n;
}

/* An id, or a list of up to `most` (0: any number). */
static cJSON *ids_schema(const char *doc, int most) {
    cJSON *list = typed("integer", NULL), *n = one_or_many(typed("integer", NULL), list, doc);
    cJSON *array = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(n, "anyOf"), 1);
    cJSON_AddNumberToObject(array, "minItems", 1);
    if (most) cJSON_AddNumberToObject(array, "maxItems", most);
    return n;
}

static void top_properties(Arena *a, cJSON *p) {
    cJSON *version = cJSON_AddObjectToObject(p, "btc");
    cJSON_AddNumberToObject(version, "const", 1);
    described(version, "version of the format");
    cJSON_AddItemToObject(p, "$schema", typed("string", NULL));
    cJSON_AddItemToObject(p, "name", described(ref("name"), "default: from the file's name"));
    cJSON *dims = map_of(ref("size"), "named sizes; later ones may use earlier ones");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(dims, "properties"), "comment", ref("comment"));
    cJSON_AddItemToObject(p, "dims", dims);
    cJSON_AddItemToObject(
        p, "weights",
        one_or_many(typed("string", NULL), typed("string", NULL), "files or folders, relative to this file"));
    cJSON_AddItemToObject(p, "input", input_schema());
    cJSON_AddItemToObject(
        p, "context",
        described(
            ref("size"),
            "the longest sequence; needed by attention without a window and ops that need whole sequences"));
    cJSON *text = typed("string", "what token ids are");
    cJSON_AddItemToObject(text, "enum", word_list("bytes"));
    cJSON_AddItemToObject(p, "text", text);
    cJSON_AddItemToObject(p, "bos", ids_schema("id that begins a sequence", 1));
    cJSON_AddItemToObject(p, "eos", ids_schema("id or ids that end one", 0));
    cJSON *blocks = map_of(ref("block"), "kinds of layers");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(blocks, "properties"), "comment", ref("comment"));
    cJSON_AddItemToObject(p, "blocks", blocks);
    cJSON_AddItemToObject(
        p, "model",
        array_of(any_of(2, (cJSON *[]){ref("statement"), ref("layers")}), "the model, from input to output"));
    cJSON_AddItemToObject(p, "output", described(ref("name"), "a value of `model`: one row per token"));
    cJSON_AddItemToObject(p, "expose",
                          map_of(typed("string", NULL), "further values of `model`, for btc verify"));
    cJSON_AddItemToObject(
        p, "transposed",
        described(ref("names"), "states that btc verify shows with their last two axes exchanged"));
    cJSON *storage = typed("string", NULL);
    cJSON_AddItemToObject(storage, "enum", word_list(format_names(a, FORMATS_ASKED, "|", "|")));
    cJSON *quant = map_of(
        storage, "how matrices are stored, by patterns of tensor names; the first that matches counts");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(quant, "properties"), "comment", ref("comment"));
    cJSON_AddItemToObject(p, "quant", quant);
    cJSON_AddItemToObject(p, "ignore",
                          array_of(typed("string", NULL), "patterns of tensors that need no use"));
}

char *desc_schema(Arena *a) {
    static const char *const required[] = {"btc", "input", "model", "output", NULL};
    cJSON *root = cJSON_CreateObject(), *p;
    cJSON_AddStringToObject(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(root, "title", "btc model description, version 1");
    cJSON *top = object_of(NULL, required, &p);
    top_properties(a, p);
    for (cJSON *c = top->child, *next; c; c = next) {
        next = c->next;
        cJSON_AddItemToObject(root, c->string, cJSON_Duplicate(c, true));
    }
    cJSON_Delete(top);
    cJSON_AddItemToObject(root, "$defs", definitions(a));
    char *text = json_print(a, root);
    cJSON_Delete(root);
    return text;
}
