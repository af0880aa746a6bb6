/* Zip files from their end: end record -> (zip64 end record) -> central directory -> local header -> bytes.
 * Layout: PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16 and 4.5.3. The central directory alone is believed
 * for sizes, as streaming writers leave them out of the local headers. */
#include "zip.h"

#include <stdlib.h>
#include <string.h>

#include "container.h"

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    FLAG_ENCRYPTED = 1
};

typedef struct Directory {
    uint64_t entries, size, offset;
} Directory;

static uint64_t load(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static bool has_mark(const uint8_t *p, const char *mark) {
    return !memcmp(p, mark, 4);
}

static bool fail(const Zip *z, const char *msg) {
    return diag_error(z->diag, (Loc){.file = z->file}, "%s", msg);
}

static bool fail_entry(const Zip *z, const ZipEntry *e, const char *msg) {
    return diag_error(z->diag, container_loc(z->file, container_clean(z->arena, e->name, e->name_n)), "%s",
                      msg);
}

/* ---- the end record ---- */

/* The last place where an end record's comment reaches exactly to the end of the file. */
static const uint8_t *find_end(const Zip *z) {
    if (z->size < END_BYTES) return NULL;
    size_t last = z->size - END_BYTES, first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t at = last + 1; at-- > first;) {
        const uint8_t *p = z->data + at;
        if (has_mark(p, "PK\5\6") && load(p + 20, 2) == last - at) return p;
    }
    return NULL;
}

static bool read_end64(const Zip *z, const uint8_t *locator, Directory *dir) {
    uint64_t at = load(locator + 8, 8), room = (uint64_t)(locator - z->data);
    if (at > room || room - at < END64_BYTES || !has_mark(z->data + at, "PK\6\6"))
        return fail(z, "the zip64 end record is not where its locator says: the file is damaged");
    const uint8_t *p = z->data + at;
    *dir = (Directory){load(p + 32, 8), load(p + 40, 8), load(p + 48, 8)};
    return true;
}

static bool read_end(const Zip *z, Directory *dir) {
    const uint8_t *end = find_end(z);
    if (!end) return fail(z, "has no zip directory at its end: the file is truncated or not a PyTorch zip");
    size_t at = (size_t)(end - z->data);
    *dir = (Directory){load(end + 10, 2), load(end + 12, 4), load(end + 16, 4)};
    bool zip64 = at >= LOCATOR_BYTES && has_mark(end - LOCATOR_BYTES, "PK\6\7");
    if (zip64 && !read_end64(z, end - LOCATOR_BYTES, dir)) return false;
    if (dir->offset > at || dir->size > at - dir->offset)
        return fail(
            z, arena_printf(z->arena,
                            "the zip directory should be %llu bytes at %llu, beyond the file's %zu: the file "
                            "is truncated or damaged",
                            (unsigned long long)dir->size, (unsigned long long)dir->offset, z->size));
    if (dir->entries > dir->size / ENTRY_BYTES)
        return fail(z, "the zip directory is too small for its number of entries: the file is damaged");
    return true;
}

/* ---- the directory ---- */

/* Sizes and offset that do not fit 32 bits stand in extra field 1, in this order, only those needed. */
static bool read_extra64(ZipEntry *e, const uint8_t *extra, size_t n) {
    uint64_t *wide[] = {&e->size, &e->packed, &e->header};
    int missing = 0;
    for (int i = 0; i < 3; i++) missing += *wide[i] == UINT32_MAX;
    if (!missing) return true;
    for (size_t at = 0; n - at >= 4;) {
        uint64_t id = load(extra + at, 2), size = load(extra + at + 2, 2);
        at += 4;
        if (size > n - at) return false;
        if (id == 1) {
            if (size < (uint64_t)missing * 8) return false;
            for (int i = 0; i < 3; i++)
                if (*wide[i] == UINT32_MAX) *wide[i] = load(extra + at, 8), at += 8;
            return true;
        }
        at += size;
    }
    return true; /* no such field: the value is meant as it is */
}

static int compare_names(const char *a, size_t na, const char *b, size_t nb) {
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : na < nb ? -1 : na > nb;
}

static int by_name(const void *x, const void *y) {
    const ZipEntry *a = x, *b = y;
    return compare_names(a->name, a->name_n, b->name, b->name_n);
}

static bool read_entries(Zip *z, const Directory *dir) {
    const uint8_t *p = z->data + dir->offset;
    size_t left = (size_t)dir->size;
    for (uint64_t i = 0; i < dir->entries; i++) {
        if (left < ENTRY_BYTES || !has_mark(p, "PK\1\2"))
            return fail(z, "the zip directory ends before its last entry: the file is damaged");
        size_t name = load(p + 28, 2), extra = load(p + 30, 2), comment = load(p + 32, 2);
        if (left - ENTRY_BYTES < name + extra + comment)
            return fail(z, "a zip entry reaches beyond the directory: the file is damaged");
        ZipEntry e = {.name = (const char *)p + ENTRY_BYTES,
                      .name_n = name,
                      .flags = (unsigned)load(p + 8, 2),
                      .method = (unsigned)load(p + 10, 2),
                      .packed = load(p + 20, 4),
                      .size = load(p + 24, 4),
                      .header = load(p + 42, 4)};
        if (!read_extra64(&e, p + ENTRY_BYTES + name, extra))
            return fail_entry(z, &e, "the zip entry's 64-bit sizes are damaged");
        ARENA_PUSH(z->arena, z->entries, z->n, z->cap, e);
        p += ENTRY_BYTES + name + extra + comment, left -= ENTRY_BYTES + name + extra + comment;
    }
    return true;
}

bool zip_open(Zip *z) {
    Directory dir = {0};
    if (!read_end(z, &dir) || !read_entries(z, &dir)) return false;
    if (z->n == 0) return fail(z, "the zip has no entries");
    qsort(z->entries, (size_t)z->n, sizeof *z->entries, by_name);
    for (int i = 1; i < z->n; i++)
        if (!by_name(&z->entries[i - 1], &z->entries[i]))
            return fail_entry(z, &z->entries[i], "the zip has two entries of this name");
    return true;
}

const ZipEntry *zip_find(const Zip *z, const char *name) {
    ZipEntry key = {.name = name, .name_n = strlen(name)};
    return bsearch(&key, z->entries, (size_t)z->n, sizeof key, by_name);
}

bool zip_bytes(const Zip *z, const ZipEntry *e, const uint8_t **data, size_t *size) {
    if (e->flags & FLAG_ENCRYPTED) return fail_entry(z, e, "the zip entry is encrypted");
    if (e->method != 0)
        return fail_entry(z, e,
                          "the zip entry is deflated, but btc reads stored entries only: load the file in "
                          "PyTorch and save it again with torch.save, which stores them");
    if (e->packed != e->size)
        return fail_entry(z, e, "the zip entry is stored, but its two sizes differ: the file is damaged");
    if (e->header > z->size || z->size - e->header < LOCAL_BYTES || !has_mark(z->data + e->header, "PK\3\4"))
        return fail_entry(z, e,
                          "the zip entry's header is not where the directory says: the file is damaged");
    const uint8_t *p = z->data + e->header;
    uint64_t skip = LOCAL_BYTES + load(p + 26, 2) + load(p + 28, 2), room = z->size - e->header;
    if (skip > room || e->size > room - skip)
        return fail_entry(z, e,
                          arena_printf(z->arena,
                                       "the zip entry's %llu bytes reach beyond the file: it is "
                                       "truncated or damaged",
                                       (unsigned long long)e->size));
    *data = p + skip, *size = (size_t)e->size;
    return true;
}
