#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "temp.h"

char *file_temp_pattern(Arena *a, const char *name) {
    static const char ending[] = ".tmp-XXXXXX";
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    size_t room = NAME_MAX - (sizeof ending - 1), n = strlen(base);
    return arena_printf(a, "%.*s%s", (int)(base - name) + (int)(n < room ? n : room), name, ending);
}

bool file_map(Diag *d, const char *name, FileMap *out) {
    *out = (FileMap){0};
    Loc loc = {.file = name};
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return diag_error(d, loc, "cannot open: %s", strerror(errno));
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return diag_error(d, loc, "is not a regular file");
    }
    out->size = (size_t)st.st_size;
    if (st.st_size == 0) {
        close(fd);
        out->data = (const uint8_t *)"";
        return true;
    }
    void *p = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
    int err = errno;
    close(fd);
    if (p == MAP_FAILED) return diag_error(d, loc, "cannot map: %s", strerror(err));
    out->base = p, out->data = p;
    return true;
}

void file_unmap(FileMap *m) {
    if (m->base) munmap(m->base, m->size);
    *m = (FileMap){0};
}

void file_map_release(const FileMap *m, const void *p, size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = (size_t)((const uint8_t *)p - m->data) / page * page;
    size_t end = (size_t)((const uint8_t *)p - m->data) + n;
    if (m->base && end > first) madvise((char *)m->base + first, end - first, MADV_DONTNEED);
}

char *file_read_text(Diag *d, Arena *a, const char *name, size_t *size) {
    FileMap m;
    if (!file_map(d, name, &m)) return NULL;
    char *s = arena_strndup(a, (const char *)m.data, m.size);
    if (size) *size = m.size;
    file_unmap(&m);
    return s;
}

bool file_exists(const char *name) {
    return access(name, F_OK) == 0;
}

bool file_is_folder(const char *name) {
    struct stat st;
    return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
}

bool out_open(Diag *d, Arena *a, const char *name, OutFile *o) {
    *o = (OutFile){.diag = d, .name = arena_strdup(a, name)};
    struct stat st = {0};
    if (stat(name, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        o->f = fopen(name, "wb"); /* a device or a pipe: renaming would replace it */
        o->failed = !o->f;
        return o->f || diag_error(d, (Loc){.file = name}, "cannot write: %s", strerror(errno));
    }
    if (S_ISDIR(st.st_mode) || !*name || name[strlen(name) - 1] == '/') {
        o->failed = true;
        return diag_error(d, (Loc){.file = name}, "cannot write: %s", strerror(*name ? EISDIR : ENOENT));
    }
    o->temp = file_temp_pattern(a, name);
    int fd = temp_file(o->temp);
    if (fd < 0) {
        o->failed = true;
        return diag_error(d, (Loc){.file = name}, "cannot write: %s", strerror(errno));
    }
    o->f = fdopen(fd, "wb");
    return true;
}

bool out_check(Diag *d, const char *name) {
    if (!name || !strcmp(name, "-")) return true;
    struct stat st;
    if (stat(name, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* a pipe may be opened once */
        return access(name, W_OK) == 0 ||
               diag_error(d, (Loc){.file = name}, "cannot write: %s", strerror(errno));
    OutFile o;
    if (!out_open(d, d->arena, name, &o)) return false;
    out_abandon(&o);
    return true;
}

int file_write_at(int fd, int64_t at, const void *data, size_t size) {
    const char *p = data;
    while (size) {
        ssize_t n = pwrite(fd, p, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        p += n, at += n, size -= (size_t)n;
    }
    return 0;
}

bool out_fail(OutFile *o, int error) {
    if (!o->failed) diag_error(o->diag, (Loc){.file = o->name}, "cannot write: %s", strerror(error));
    o->failed = true;
    return false;
}

bool out_write_at(OutFile *o, int64_t at, const void *data, size_t size) {
    if (o->failed) return false;
    int error = file_write_at(fileno(o->f), at, data, size);
    return !error || out_fail(o, error);
}

bool out_write(OutFile *o, const void *data, size_t size) {
    if (o->failed) return false;
    if (size && fwrite(data, 1, size, o->f) != size) out_fail(o, errno);
    return !o->failed;
}

static void remove_temp(OutFile *o) {
    if (!o->temp) return;
    unlink(o->temp);
    temp_forget(o->temp);
}

bool out_commit(OutFile *o, bool executable) {
    if (o->f && fclose(o->f) != 0) out_fail(o, errno);
    o->f = NULL;
    if (!o->temp) return !o->failed;
    if (!o->failed) {
        mode_t mask = umask(0);
        umask(mask);
        chmod(o->temp, (executable ? 0777 : 0666) & ~mask);
        if (rename(o->temp, o->name) == 0) return temp_forget(o->temp), true;
        out_fail(o, errno);
    }
    remove_temp(o);
    return false;
}

void out_abandon(OutFile *o) {
    if (o->f) fclose(o->f);
    o->f = NULL;
    remove_temp(o);
    o->failed = true;
}
