/* See pth_row.h; torch/serialization.py, _legacy_save and _legacy_load. */
#include "pth_row.h"

#include <stdlib.h>
#include <string.h>

#include "container.h"

/* The number 0x1950a86a20f9469cfc6c, and the end of its pickle. */
static const uint8_t MAGIC[] = {0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
enum { VERSION = 1001 };

typedef struct Row {
    Diag *diag;
    Arena *arena;
    const char *file;
    const uint8_t *data;
    size_t size, at;
} Row;

static bool fail(const Row *r, const char *msg) {
    return diag_error(r->diag, container_loc(r->file, NULL), "%s", msg);
}

bool pth_is_row(const uint8_t *data, size_t size) {
    return size >= 2 && data[0] == 0x80 && data[1] <= 5;
}

static PickleValue *next_pickle(Row *r, PickleRest *rest) {
    PickleValue *v = pickle_read(r->diag, r->arena, r->file, r->data + r->at, r->size - r->at, rest);
    r->at += rest->used;
    return v;
}

static const PickleValue *item_of(const PickleValue *dict, const char *key) {
    for (int i = 0; i + 1 < dict->n; i += 2)
        if (dict->items[i]->kind == PK_TEXT && !strcmp(dict->items[i]->s, key)) return dict->items[i + 1];
    return NULL;
}

/* The number that marks the file, the version, and the machine's order of bytes. */
static bool read_head(Row *r) {
    r->at = r->size > 2 && r->data[2] == 0x95 ? 11 : 2; /* behind PROTO and, since protocol 4, FRAME */
    if (r->size < r->at + sizeof MAGIC || memcmp(r->data + r->at, MAGIC, sizeof MAGIC) != 0)
        return fail(r, "is a pickle, but none of torch.save: save model.state_dict() with that");
    r->at += sizeof MAGIC;
    PickleRest rest = {0};
    const PickleValue *version = next_pickle(r, &rest), *machine = version ? next_pickle(r, &rest) : NULL;
    if (!machine) return false;
    if (version->kind != PK_INT || version->i != VERSION)
        return fail(r, "its version of torch.save is not 1001");
    const PickleValue *little = machine->kind == PK_DICT ? item_of(machine, "little_endian") : NULL;
    if (!little || little->kind != PK_BOOL || !little->i)
        return fail(r, "its byte order is not said to be little-endian");
    return true;
}

static int by_key(const void *x, const void *y) {
    return strcmp(((const RowStorage *)x)->key, ((const RowStorage *)y)->key);
}

static RowStorage *find(const PthRow *row, const char *key) {
    return row->n ? bsearch(&(RowStorage){.key = key}, row->storages, (size_t)row->n, sizeof *row->storages,
                            by_key)
                  : NULL;
}

bool pth_row_find(const PthRow *row, const char *key, const uint8_t **data, size_t *size) {
    const RowStorage *s = find(row, key);
    if (!s || !s->data) return false;
    *data = s->data, *size = s->size;
    return true;
}

/* The storages that the state dict refers to, each once, with the width of an element in place of a size. */
static bool list_storages(Row *r, const PickleRest *rest, PthRow *out) {
    for (int i = 0; i < rest->n; i++) {
        const PickleValue *v = rest->storages[i];
        if (v->global->dt == DT_COUNT)
            return fail(r, arena_printf(r->arena, "holds a storage %s.%s, which is not read",
                                        v->global->module, v->global->name));
        RowStorage s = {.key = v->s, .size = dtype_size(v->global->dt)};
        ARENA_PUSH(r->arena, out->storages, out->n, out->cap, s);
    }
    if (out->n) qsort(out->storages, (size_t)out->n, sizeof *out->storages, by_key);
    int n = 0;
    for (int i = 0; i < out->n; i++) {
        RowStorage *s = &out->storages[i], *last = n ? &out->storages[n - 1] : NULL;
        if (!last || strcmp(last->key, s->key) != 0)
            out->storages[n++] = *s;
        else if (last->size != s->size)
            return fail(r, "one storage has elements of two types");
    }
    out->n = n;
    return true;
}

/* One storage behind the pickles: a 64-bit count of elements, and their bytes. */
static bool take_storage(Row *r, RowStorage *s) {
    uint64_t n = 0, bytes;
    if (r->size - r->at < 8) return fail(r, "ends within its storages: the file is truncated");
    for (int i = 7; i >= 0; i--) n = n << 8 | r->data[r->at + (size_t)i];
    r->at += 8;
    if (__builtin_mul_overflow(n, (uint64_t)s->size, &bytes) || bytes > r->size - r->at)
        return fail(r, "ends within its storages: the file is truncated");
    s->data = r->data + r->at, s->size = (size_t)bytes;
    r->at += (size_t)bytes;
    return true;
}

bool pth_row_open(Diag *d, Arena *a, const char *file, const uint8_t *data, size_t size, PthRow *out) {
    Row r = {d, a, file, data, size, 0};
    PickleRest dict = {0}, rest = {0};
    *out = (PthRow){0};
    if (!read_head(&r) || !(out->top = next_pickle(&r, &dict))) return false;
    const PickleValue *keys = next_pickle(&r, &rest);
    if (!keys || !list_storages(&r, &dict, out)) return false;
    if (keys->kind != PK_LIST) return fail(&r, "has no list of its storages");
    for (int i = 0; i < keys->n; i++) {
        RowStorage *s = keys->items[i]->kind == PK_TEXT ? find(out, keys->items[i]->s) : NULL;
        if (!s || s->data) return fail(&r, "the list of its storages is not that of its tensors");
        if (!take_storage(&r, s)) return false;
    }
    return true;
}
