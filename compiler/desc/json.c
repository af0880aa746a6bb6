/* Parses JSON, and refuses what cJSON accepts: keys given twice, numbers beyond double, nesting without end. */
#include "desc/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIZE = 100 << 20, MAX_NESTING = 64 };

static void find_lines(Json *j) {
    ARENA_PUSH(j->arena, j->lines, j->nlines, j->lines_cap, 0);
    for (size_t i = 0; i < j->size; i++)
        if (j->text[i] == '\n') ARENA_PUSH(j->arena, j->lines, j->nlines, j->lines_cap, (int)i + 1);
}

/* Before cJSON sees the text: it recurses once per bracket. */
static bool check_nesting(const Json *j) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < j->size; i++) {
        char c = j->text[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_NESTING)
                return diag_error(j->diag, json_loc_at(j, i, NULL), "nested more than %d deep", MAX_NESTING);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

/* Python's bare words become strings that take no more room. */
static char *quote_python_words(Arena *a, const char *text, size_t size) {
    static const struct {
        const char *word, *as;
    } words[] = {{"-Infinity", "\"-inf\"   "}, {"Infinity", "\"+inf\"  "}, {"NaN", "\"" JSON_NAN "\""}};
    char *t = arena_strndup(a, text, size);
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string) {
            if (t[i] == '\\')
                i++;
            else if (t[i] == '"')
                in_string = false;
            continue;
        }
        if (t[i] == '"') in_string = true;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            size_t n = strlen(words[k].word);
            if (strncmp(t + i, words[k].word, n) != 0) continue;
            memcpy(t + i, words[k].as, n);
            i += n - 1;
            break;
        }
    }
    return t;
}

static const char *member_path(Arena *a, const char *path, const cJSON *child, int index) {
    if (!child->string) return arena_printf(a, "%s[%d]", path, index);
    return arena_printf(a, "%s%s%s", path, *path ? "." : "", child->string);
}

static int by_key(const void *a, const void *b) {
    const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;
    int c = strcmp(x->string, y->string);
    return c ? c : (x->valueint > y->valueint) - (x->valueint < y->valueint);
}

/* Numbers are finite, keys are given once. Of a header, which a program wrote, the first fault is enough. */
static bool check_tree(const Json *j, const cJSON *n, const char *path) {
    if (cJSON_IsNumber(n) && !isfinite(n->valuedouble))
        return json_error(j, n, path, "the number is too large");
    if (!n->child) return true;
    bool ok = true;
    int count = 0, i = 0;
    for (const cJSON *c = n->child; c; c = c->next) count++;
    const cJSON **keys = ARENA_ARRAY(j->arena, const cJSON *, count);
    for (const cJSON *c = n->child; c; c = c->next) {
        /* Paths are only needed where something can be wrong below. */
        if (c->child || cJSON_IsNumber(c)) {
            bool plain = cJSON_IsNumber(c) && isfinite(c->valuedouble);
            if (!plain) ok &= check_tree(j, c, member_path(j->arena, path, c, i));
            if (!ok && j->flags & JSON_HEADER) return false;
        }
        keys[i++] = c;
    }
    if (!cJSON_IsObject(n)) return ok;
    qsort(keys, (size_t)count, sizeof *keys, by_key);
    for (i = 1; i < count && (ok || !(j->flags & JSON_HEADER)); i++)
        if (strcmp(keys[i - 1]->string, keys[i]->string) == 0)
            ok = json_error(j, keys[i], path, "the key \"%s\" is given twice", keys[i]->string);
    return ok;
}

bool json_parse(Diag *d, Arena *a, const char *file, const char *text, size_t size, unsigned flags,
                Json *out) {
    Json *j = out;
    *j = (Json){.diag = d, .arena = a, .file = file, .text = text, .size = size, .flags = flags};
    const char *what = flags & JSON_HEADER ? "the header is" : "is";
    if (size > MAX_SIZE)
        return diag_error(d, (Loc){.file = file}, "%s larger than %d MiB: too much JSON", what,
                          MAX_SIZE >> 20);
    find_lines(j);
    const char *nul = memchr(text, 0, size);
    if (nul) return diag_error(d, json_loc_at(j, (size_t)(nul - text), NULL), "holds a NUL byte");
    if (!check_nesting(j)) return false;
    j->text = flags & JSON_PYTHON ? quote_python_words(a, text, size) : arena_strndup(a, text, size);
    const char *end = j->text;
    j->root = cJSON_ParseWithLengthOpts(j->text, size + 1, &end, false);
    while (j->root && isspace((unsigned char)*end)) end++;
    size_t at = end > j->text ? (size_t)(end - j->text) : 0;
    if (!j->root)
        return diag_error(d, json_loc_at(j, at, NULL), "%s not valid JSON: %s", what,
                          at >= size ? "the text ends too early" : "it breaks off here");
    if (at < size)
        return diag_error(d, json_loc_at(j, at, NULL), "%s not valid JSON: there is text behind it", what);
    return json_place(j) && check_tree(j, j->root, "");
}

void json_free(Json *j) {
    cJSON_Delete(j->root);
    j->root = NULL;
}

/* ---- reading ---- */

bool json_error(const Json *j, const cJSON *node, const char *path, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *msg = arena_vprintf(j->arena, fmt, ap);
    va_end(ap);
    return diag_error(j->diag, json_loc(j, node, path), "%s", msg);
}

bool json_check_keys(const Json *j, const cJSON *object, const char *path, const char *const *keys) {
    int n = 0;
    while (keys[n]) n++;
    bool ok = true;
    for (const cJSON *c = object->child; c; c = c->next) {
        bool known = strcmp(c->string, "comment") == 0;
        for (int i = 0; i < n; i++) known = known || strcmp(c->string, keys[i]) == 0;
        if (!known)
            ok = json_error(j, c, path, "unknown key \"%s\"%s", c->string,
                            diag_did_you_mean(j->arena, c->string, keys, n));
    }
    return ok;
}

const char *json_what(Arena *a, const cJSON *n) {
    if (!n) return "nothing";
    if (cJSON_IsNumber(n)) return arena_printf(a, "the number %s", json_number(a, n->valuedouble));
    if (cJSON_IsString(n) && strcmp(n->valuestring, JSON_NAN) == 0) return "NaN";
    if (cJSON_IsString(n) && strcmp(n->valuestring, "+inf") == 0) return "Infinity";
    if (cJSON_IsString(n) && strcmp(n->valuestring, "-inf") == 0) return "-Infinity";
    if (cJSON_IsString(n)) return arena_printf(a, "the string \"%.60s\"", n->valuestring);
    if (cJSON_IsBool(n)) return cJSON_IsTrue(n) ? "true" : "false";
    if (cJSON_IsNull(n)) return "null";
    return cJSON_IsObject(n) ? "an object" : "a list";
}

bool json_int(const Json *j, const cJSON *n, const char *path, int64_t lo, int64_t hi, int64_t *out) {
    double v = n && cJSON_IsNumber(n) ? n->valuedouble : NAN;
    if (!(v >= (double)lo && v <= (double)hi) || floor(v) != v)
        return json_error(j, n, path, "must be a whole number from %lld to %lld, got %s", (long long)lo,
                          (long long)hi, json_what(j->arena, n));
    *out = (int64_t)v;
    return true;
}

bool json_is_name(const char *s) {
    if (!isalpha((unsigned char)*s) && *s != '_') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_') return false;
    return strcmp(s, "_") != 0;
}

const cJSON *json_get(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}
