/* JSON with positions: cJSON's tree, checked more strictly than by cJSON, and the line and column of each node. All
 * JSON that others wrote is read with it. */
#ifndef BTC_DESC_JSON_H
#define BTC_DESC_JSON_H

#include <cjson/cJSON.h>

#include "base/diag.h"

typedef struct Json {
    Diag *diag;
    Arena *arena;
    const char *file; /* for messages */
    const char *text;
    size_t size;
    cJSON *root; /* free with json_free */
    unsigned flags;
    int *lines; /* offset of each line's first byte */
    int nlines, lines_cap;
} Json;

typedef enum JsonFlag {
    /* NaN, Infinity and -Infinity stand bare in configurations written by Python; they are read as the
     * strings JSON_NAN, "+inf" and "-inf" (same length or shorter, so that places stay right). */
    JSON_PYTHON = 1,
    /* The text is part of a binary file: messages name no lines. */
    JSON_HEADER = 2,
} JsonFlag;
#define JSON_NAN "\1" /* a character that no other string holds as it is */

/* Parses and checks: size, nesting, NUL characters, numbers beyond double, keys given twice.
 * false: messages are filed; json_free is still allowed. */
bool json_parse(Diag *d, Arena *a, const char *file, const char *text, size_t size, unsigned flags,
                Json *out);
void json_free(Json *j);

/* ---- jsonpos.c ---- */
/* Notes each node's place. cJSON leaves `valueint` to us: numbers are read as doubles, so it holds the offset
 * of the node in the text. false: a string holds \u0000 (filed). */
bool json_place(Json *j);
Loc json_loc_at(const Json *j, size_t offset, const char *path);
/* The place of `node`; path says where it is in words ("blocks.mamba.ops[3].w"). */
Loc json_loc(const Json *j, const cJSON *node, const char *path);

/* ---- reading (json.c): all file a message and return false or NULL when the node is not what it should be
 * ---- */
bool json_error(const Json *j, const cJSON *node, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Every key of `object` is one of `keys` (ends with NULL) or "comment". */
bool json_check_keys(const Json *j, const cJSON *object, const char *path, const char *const *keys);
/* What a node is, for messages: "a string", "the number 3", "an object". */
const char *json_what(Arena *a, const cJSON *node);
bool json_int(const Json *j, const cJSON *node, const char *path, int64_t lo, int64_t hi, int64_t *out);
bool json_is_name(const char *s); /* a letter or _, then letters, digits, _ */
/* The member `key`, or NULL. */
const cJSON *json_get(const cJSON *object, const char *key);

/* ---- print.c ---- */
/* The tree as text for people: objects and lists of plain items stand on one line where they fit. */
char *json_print(Arena *a, const cJSON *root);
/* The shortest decimal that reads back as v. */
const char *json_number(Arena *a, double v);

#endif
