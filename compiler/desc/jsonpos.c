/* Positions of the nodes of a JSON text. cJSON keeps none, so the text is walked once more along the finished tree,
 * in the same order and with the same rules for white space. No error is possible: the parser has accepted the
 * text. */
#include <string.h>

#include "desc/json.h"

typedef struct Walk {
    Json *json;
    const char *at, *end;
    bool ok;
} Walk;

static void skip_space(Walk *w) {
    while (w->at < w->end && (unsigned char)*w->at <= 32) w->at++;
}

/* Steps over the string that starts here. A NUL character inside would cut the C string short and make two
 * different names equal. */
static void skip_string(Walk *w) {
    const char *start = w->at++;
    while (w->at < w->end && *w->at != '"') {
        if (*w->at == '\\' && w->end - w->at >= 6 && memcmp(w->at, "\\u0000", 6) == 0) {
            w->ok = false;
            diag_error(w->json->diag, json_loc_at(w->json, (size_t)(start - w->json->text), NULL),
                       "a string holds the character \\u0000, which no name or path may");
        }
        w->at += *w->at == '\\' ? 2 : 1;
    }
    w->at++;
}

static void place(Walk *w, cJSON *n) {
    skip_space(w);
    n->valueint = (int)(w->at - w->json->text);
    if (cJSON_IsString(n)) {
        skip_string(w);
    } else if (cJSON_IsObject(n) || cJSON_IsArray(n)) {
        w->at++;
        for (cJSON *c = n->child; c; c = c->next) {
            skip_space(w);
            if (cJSON_IsObject(n)) {
                skip_string(w);
                skip_space(w);
                w->at++; /* the colon */
            }
            place(w, c);
            skip_space(w);
            if (c->next) w->at++; /* the comma */
        }
        skip_space(w);
        w->at++;
    } else {
        while (w->at < w->end && (unsigned char)*w->at > 32 && !strchr(",]}", *w->at)) w->at++;
    }
}

bool json_place(Json *j) {
    Walk w = {j, j->text, j->text + j->size, true};
    if (j->size >= 3 && memcmp(j->text, "\xEF\xBB\xBF", 3) == 0) w.at += 3;
    place(&w, j->root);
    return w.ok;
}

Loc json_loc_at(const Json *j, size_t offset, const char *path) {
    if (j->flags & JSON_HEADER) return (Loc){.file = j->file, .path = path};
    int lo = 0, hi = j->nlines;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if ((size_t)j->lines[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    int col = j->nlines ? (int)offset - j->lines[lo] + 1 : 0;
    return (Loc){.file = j->file, .path = path, .line = lo + 1, .col = col};
}

Loc json_loc(const Json *j, const cJSON *node, const char *path) {
    if (!node) return (Loc){.file = j->file, .path = path};
    return json_loc_at(j, (size_t)node->valueint, path);
}
