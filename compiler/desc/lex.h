/* A cursor over a string of the description: sizes, weights and maps are read by recursive descent (expr.c
 * has the sizes and weights, map.c the maps). Messages point at the column inside the string. */
#ifndef BTC_DESC_LEX_H
#define BTC_DESC_LEX_H

#include "desc/scope.h"

typedef struct Lex {
    Reader *r;
    Scope *s; /* maps and weights */
    const cJSON *node;
    const char *path;
    const char *text;
    size_t at;
    int depth;
    /* Inside a function that is written as a formula (map.c): what x, y, z are, and where it is called. */
    const struct Term *args;
    size_t call;
} Lex;

Lex lex_of(Reader *r, Scope *s, const cJSON *node, const char *path);
Loc lex_loc(const Lex *l, size_t at);
bool lex_error(const Lex *l, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
char lex_peek(Lex *l); /* the next character that is no blank */
bool lex_accept(Lex *l, char c);
bool lex_expect(Lex *l, char c);
const char *lex_word(Lex *l);
bool lex_deeper(Lex *l); /* one level of brackets; false: too many */

bool find_dim(const Reader *r, const char *name, int64_t *out);
/* The weight at the cursor, which stands behind the "@": one op per tensor. NULL: filed. */
Value *lex_weight(Lex *l, bool in_map);

/* map.c: an expression at the cursor, as far as it goes; NULL: filed. What follows where nothing may: a message. */
Value *read_map_here(Lex *l);
void read_map_end(const Lex *l);

#endif
