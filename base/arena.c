/* Arena: a list of blocks, each twice as large as the one before (up to 1 MiB), bump-allocated. */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "temp.h"

typedef struct Chunk {
    struct Chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
} Chunk;

struct Arena {
    Chunk *head;
    size_t next_size;
};

void out_of_memory(size_t asked) {
    if (asked)
        fprintf(stderr, "btc: error: out of memory (asked for %zu bytes)\n", asked);
    else
        fputs("btc: error: out of memory\n", stderr);
    temp_remove_all();
    _exit(1); /* nobody's clean-up may ask for more */
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p) out_of_memory(size);
    return p;
}

Arena *arena_new(void) {
    Arena *a = xmalloc(sizeof *a);
    *a = (Arena){.next_size = 4096};
    return a;
}

void arena_free(Arena *a) {
    if (!a) return;
    for (Chunk *c = a->head; c;) {
        Chunk *next = c->next;
        free(c);
        c = next;
    }
    free(a);
}

void *arena_alloc(Arena *a, size_t size) {
    if (size > SIZE_MAX / 2) out_of_memory(size);
    size = (size + 15) & ~(size_t)15;
    if (size == 0) size = 16;
    if (!a->head || a->head->size - a->head->used < size) {
        size_t n = size > a->next_size ? size : a->next_size;
        if (a->next_size < (1u << 20)) a->next_size *= 2;
        Chunk *c = xmalloc(sizeof *c + n);
        c->next = a->head, c->used = 0, c->size = n;
        a->head = c;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += size;
    return memset(p, 0, size);
}

void *arena_copy(Arena *a, const void *from, size_t size) {
    void *p = arena_alloc(a, size);
    if (size) memcpy(p, from, size);
    return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    if (n) memcpy(p, s, n);
    return p;
}

char *arena_strdup(Arena *a, const char *s) {
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) n = 0;
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

void *arena_grow(Arena *a, void *items, int n, int *cap, size_t item_size) {
    if (n < *cap) return items;
    int more = *cap ? *cap * 2 : 8;
    void *p = arena_alloc(a, (size_t)more * item_size);
    if (n) memcpy(p, items, (size_t)n * item_size);
    *cap = more;
    return p;
}

Text text_new(Arena *a) {
    return (Text){.arena = a, .s = arena_strdup(a, "")};
}

void text_add_n(Text *t, const char *s, size_t n) {
    if (t->n + n + 1 > t->cap) {
        size_t cap = t->cap ? t->cap : 256;
        while (cap < t->n + n + 1) cap *= 2;
        char *p = arena_alloc(t->arena, cap);
        if (t->n) memcpy(p, t->s, t->n);
        t->s = p, t->cap = cap;
    }
    if (n) memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

void text_add(Text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(t->arena, fmt, ap);
    va_end(ap);
    text_add_n(t, p, strlen(p));
}
