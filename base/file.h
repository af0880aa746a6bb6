/* Files: read-only maps, and outputs that appear whole or not at all. */
#ifndef BTC_BASE_FILE_H
#define BTC_BASE_FILE_H

#include "diag.h"

/* A file mapped read-only. An empty file has data != NULL and size 0. */
typedef struct FileMap {
    const uint8_t *data;
    size_t size;
    void *base; /* the mapping, NULL for an empty file */
} FileMap;
bool file_map(Diag *d, const char *name, FileMap *out);
void file_unmap(FileMap *m);
/* The n bytes at p, of the map, are not needed soon: they no longer count as memory of this process. */
void file_map_release(const FileMap *m, const void *p, size_t n);
/* The whole file as a NUL-terminated text in the arena. */
char *file_read_text(Diag *d, Arena *a, const char *name, size_t *size);
bool file_exists(const char *name);
bool file_is_folder(const char *name);

/* Writes all of it; 0 or an errno. Any thread may. */
int file_write_at(int fd, int64_t at, const void *data, size_t size);

/* An output under a temporary name beside its final place; out_commit renames it, out_abandon removes it.
 * A full disk or an unwritable folder is an error at the latest in out_commit; the final name never holds
 * half a file. A name that is a device or a pipe is written as it is, without a temporary. */
typedef struct OutFile {
    Diag *diag;
    const char *name;
    char *temp; /* NULL: a device */
    FILE *f;
    bool failed;
} OutFile;
bool out_open(Diag *d, Arena *a, const char *name, OutFile *o);
/* Whether an output can be written, known before the work and not after it; leaves nothing behind. NULL and
 * "-" are stdout. */
bool out_check(Diag *d, const char *name);
bool out_write(OutFile *o, const void *data, size_t size);
/* Bytes at any place of the file, apart from what out_write appends. */
bool out_write_at(OutFile *o, int64_t at, const void *data, size_t size);
/* Files the failure `error` (an errno) of a write that was done by other means; returns false. */
bool out_fail(OutFile *o, int error);
bool out_commit(OutFile *o, bool executable);
void out_abandon(OutFile *o);

/* A pattern for a temporary name beside `name`; a long name is shortened in it. */
char *file_temp_pattern(Arena *a, const char *name);

#endif
