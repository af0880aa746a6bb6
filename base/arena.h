/* Arena: memory with one lifetime. Nothing is freed singly; everything goes when the arena goes.
 * Out of memory ends the process in one place (arena.c), so callers never test for NULL. */
#ifndef BTC_BASE_ARENA_H
#define BTC_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;

/* Prints a message, removes temporary files and ends the process. Also given to libraries as their handler. */
_Noreturn void out_of_memory(size_t asked); /* 0: not known */

Arena *arena_new(void);
void arena_free(Arena *a); /* NULL is allowed */

/* Zeroed memory of `size` bytes, aligned to 16. */
void *arena_alloc(Arena *a, size_t size);
/* A copy of `size` bytes. */
void *arena_copy(Arena *a, const void *from, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

/* Growing array in an arena: T *items; int n, cap. Grows by doubling; old copies stay in the arena. */
void *arena_grow(Arena *a, void *items, int n, int *cap, size_t item_size);
#define ARENA_PUSH(a, items, n, cap, x)                                                                      \
    do {                                                                                                     \
        (items) = arena_grow((a), (items), (n), &(cap), sizeof *(items));                                    \
        (items)[(n)++] = (x);                                                                                \
    } while (0)

/* A text that grows (printers, generators). */
typedef struct Text {
    Arena *arena;
    char *s; /* always NUL-terminated once something was added */
    size_t n, cap;
} Text;
Text text_new(Arena *a);
void text_add(Text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_n(Text *t, const char *s, size_t n);

/* The process ends here when memory is out. */
void *xmalloc(size_t size);

#endif
