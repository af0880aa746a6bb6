/* One change to one file of a checkpoint. */
#ifndef BTC_TESTS_DIAG_EDIT_H
#define BTC_TESTS_DIAG_EDIT_H

#include "kit.h"

typedef enum EditKind {
    EDIT_NONE,
    EDIT_CUT,    /* to its first `number` bytes */
    EDIT_LENGTH, /* of a safetensors header: says `number` */
    EDIT_HEADER, /* of a safetensors file: `from` becomes `to`, and its length is right */
    EDIT_TEXT,   /* `from` becomes `to` */
    EDIT_KEY,    /* JSON: the value of the key `from` becomes `to` */
    EDIT_WHOLE,  /* becomes `to` */
    EDIT_APPEND, /* `to` follows */
    EDIT_REMOVE,
    EDIT_RENAME, /* becomes the file `to` */
} EditKind;

typedef struct Edit {
    const char *file;
    EditKind kind;
    const char *from, *to;
    int64_t number;
} Edit;

static inline Bytes replaced(Bytes b, size_t at, size_t n, const char *by) {
    Text t = text_new(arena);
    text_add_n(&t, b.s, at);
    text_add(&t, "%s", by);
    text_add_n(&t, b.s + at + n, b.n - at - n);
    return (Bytes){t.s, t.n};
}

/* Where `from` stands; a change that changes nothing would test nothing. */
static inline bool find(Bytes b, const char *from, size_t *at) {
    const char *p = memmem(b.s, b.n, from, strlen(from));
    if (!CHECK(p != NULL)) return fprintf(stderr, "    nothing to change: %s\n", from), false;
    *at = (size_t)(p - b.s);
    return true;
}

static inline Bytes with_length(Bytes b, uint64_t n) {
    for (size_t i = 0; i < 8 && i < b.n; i++) b.s[i] = (char)(uint8_t)(n >> 8 * i);
    return b;
}

static inline uint64_t length_of(Bytes b) {
    uint64_t n = 0;
    for (size_t i = 0; i < 8 && i < b.n; i++) n |= (uint64_t)(uint8_t)b.s[i] << 8 * i;
    return n;
}

static inline Bytes edited(Bytes b, const Edit *e) {
    size_t at;
    switch (e->kind) {
    case EDIT_CUT:
        b.n = (size_t)e->number < b.n ? (size_t)e->number : b.n;
        break;
    case EDIT_LENGTH:
        return with_length(b, (uint64_t)e->number);
    case EDIT_HEADER:
        if (!find(b, e->from, &at)) break;
        return with_length(replaced(b, at, strlen(e->from), e->to),
                           length_of(b) + strlen(e->to) - strlen(e->from));
    case EDIT_TEXT:
        if (find(b, e->from, &at)) return replaced(b, at, strlen(e->from), e->to);
        break;
    case EDIT_KEY: {
        const char *key = arena_printf(arena, "\"%s\": ", e->from);
        if (!find(b, key, &at)) break;
        at += strlen(key);
        return replaced(b, at, strcspn(b.s + at, ",\n"), e->to);
    }
    case EDIT_WHOLE:
        return replaced(b, 0, b.n, e->to);
    case EDIT_APPEND:
        return replaced(b, b.n, 0, e->to);
    default:
        break;
    }
    return b;
}

static inline void edit(const char *folder, const Edit *e) {
    const char *file = arena_printf(arena, "%s/%s", folder, e->file ? e->file : "");
    if (e->kind == EDIT_NONE) return;
    if (e->kind == EDIT_REMOVE) {
        CHECK(unlink(file) == 0);
    } else if (e->kind == EDIT_RENAME) {
        CHECK(rename(file, arena_printf(arena, "%s/%s", folder, e->to)) == 0);
    } else {
        Bytes b = edited(read_bytes(file), e);
        write_bytes(file, b.s, b.n);
    }
}

/* m/ is a copy of this case. */
static inline void fresh_copy(const char *name) {
    remove_folder("m");
    CHECK(mkdir("m", 0777) == 0);
    const char *from = arena_printf(arena, "%s/%s", cases, name);
    DIR *d = opendir(from);
    CHECK(d != NULL);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        Bytes b = read_bytes(arena_printf(arena, "%s/%s", from, e->d_name));
        write_bytes(arena_printf(arena, "m/%s", e->d_name), b.s, b.n);
    }
    if (d) closedir(d);
}

/* One way to be wrong, and the message: it begins with `where` and holds `what`. */
typedef struct Bad {
    const char *title;
    Edit edit;
    const char *where, *what;
    const char *args; /* NULL: "m -o out/x.so" */
    int errors;       /* 0: one */
} Bad;

static inline void check_bad(const char *case_name, const Bad *all, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const Bad *b = &all[i];
        fresh_copy(case_name);
        edit("m", &b->edit);
        const char *args = b->args ? b->args : "m -o out/x.so";
        check_refused(b->title, args, run_btc(args), b->errors ? b->errors : 1, b->where, b->what);
    }
}
#define CHECK_BAD(case_name, all) check_bad(case_name, all, sizeof(all) / sizeof *(all))

static inline bool have_case(const char *name) {
    bool yes = file_exists(arena_printf(arena, "%s/%s", cases, name));
    if (!yes) printf("diag: skipped what needs %s\n", name);
    return yes;
}

#endif
