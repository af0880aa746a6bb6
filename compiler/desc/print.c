/* JSON for people: a statement on one line, short lists on one line, numbers as short as they can be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desc/json.h"

enum { WIDTH = 120, STATEMENT = 240, INDENT = 2 }; /* a statement keeps its line a little longer */

const char *json_number(Arena *a, double v) {
    if (v == floor(v) && fabs(v) < 1e15) return arena_printf(a, "%.0f", v);
    for (int digits = 6; digits < 17; digits++) {
        char *s = arena_printf(a, "%.*g", digits, v);
        if (strtod(s, NULL) == v) return s;
    }
    return arena_printf(a, "%.17g", v);
}

static void put_string(Text *t, const char *s) {
    text_add(t, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\') {
            text_add(t, "\\%c", *p);
        } else if (*p == '\n') {
            text_add(t, "\\n");
        } else if (*p < 32) {
            text_add(t, "\\u%04x", *p);
        } else {
            text_add_n(t, (const char *)p, 1);
        }
    }
    text_add(t, "\"");
}

/* The node on one line. */
static void put_flat(Text *t, const cJSON *n) {
    if (cJSON_IsString(n)) {
        put_string(t, n->valuestring);
    } else if (cJSON_IsNumber(n)) {
        text_add(t, "%s", json_number(t->arena, n->valuedouble));
    } else if (cJSON_IsArray(n) || cJSON_IsObject(n)) {
        bool object = cJSON_IsObject(n);
        text_add(t, object ? n->child ? "{ " : "{" : "[");
        for (const cJSON *c = n->child; c; c = c->next) {
            if (object) {
                put_string(t, c->string);
                text_add(t, ": ");
            }
            put_flat(t, c);
            if (c->next) text_add(t, ", ");
        }
        text_add(t, object ? n->child ? " }" : "}" : "]");
    } else {
        text_add(t, "%s", cJSON_IsNull(n) ? "null" : cJSON_IsTrue(n) ? "true" : "false");
    }
}

/* How deep the containers below n go: 0 for a plain value, 1 for a list of them. */
static int height(const cJSON *n) {
    int h = 0;
    if (!cJSON_IsObject(n) && !cJSON_IsArray(n)) return 0;
    for (const cJSON *c = n->child; c; c = c->next) {
        int below = height(c);
        if (below > h) h = below;
    }
    return h + 1;
}

static void put(Text *t, const cJSON *n, int indent, size_t column, size_t width);

/* A list of numbers or names that does not fit on a line: filled lines. */
static void put_filled(Text *t, const cJSON *n, int indent) {
    size_t column = WIDTH;
    text_add(t, "[");
    for (const cJSON *c = n->child; c; c = c->next) {
        Text item = text_new(t->arena);
        put_flat(&item, c);
        if (column + item.n + 2 > WIDTH) {
            text_add(t, "\n%*s", indent + INDENT, "");
            column = (size_t)indent + INDENT;
        } else {
            text_add(t, " ");
        }
        text_add(t, "%s%s", item.s, c->next ? "," : "");
        column += item.n + 2;
    }
    text_add(t, "\n%*s]", indent, "");
}

static void put(Text *t, const cJSON *n, int indent, size_t column, size_t width) {
    Text flat = text_new(t->arena);
    int h = height(n);
    if (h <= 2) put_flat(&flat, n); /* a statement is at most an object of lists */
    bool list_of_objects = cJSON_IsArray(n) && n->child && cJSON_IsObject(n->child);
    if (h == 0 || (h <= 2 && !list_of_objects && indent > 0 && column + flat.n <= width) || !n->child) {
        text_add_n(t, flat.s, flat.n);
        return;
    }
    if (cJSON_IsArray(n) && h == 1) {
        put_filled(t, n, indent);
        return;
    }
    bool object = cJSON_IsObject(n);
    text_add(t, object ? "{" : "[");
    for (const cJSON *c = n->child; c; c = c->next) {
        text_add(t, "\n%*s", indent + INDENT, "");
        size_t col = (size_t)indent + INDENT;
        if (object) {
            put_string(t, c->string);
            text_add(t, ": ");
            col += strlen(c->string) + 4;
        }
        put(t, c, indent + INDENT, col, object ? WIDTH : STATEMENT);
        if (c->next) text_add(t, ",");
    }
    text_add(t, "\n%*s%s", indent, "", object ? "}" : "]");
}

char *json_print(Arena *a, const cJSON *root) {
    Text t = text_new(a);
    put(&t, root, 0, 0, WIDTH);
    text_add(&t, "\n");
    return t.s;
}
