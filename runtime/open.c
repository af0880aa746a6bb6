/* Opening a model: its weights are inside the artefact, or in a side file that is mapped read-only. This file and
 * beside.c make all system calls that concern files; none of it runs per token. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* madvise */
#endif
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beside.h"

enum { PAGE = 4096 };
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; older kernels refuse it, and pages come at first use */
#endif

static void populate(const void *p, uint64_t bytes) {
    uintptr_t first = (uintptr_t)p / PAGE * PAGE, end = (uintptr_t)p + bytes;
    madvise((void *)first, (size_t)(end - first), MADV_POPULATE_READ); /* advice: it may fail */
}

/* A side file that is being looked for. */
typedef struct Side {
    const btc_artifact *artifact;
    bool check; /* the contents, too */
    void *map;
    uint64_t bytes;
    btc_status status; /* why the first file that was there does not serve */
} Side;

static btc_status check_header(const btc_artifact *a, const btc_weights_header *h, uint64_t file_bytes) {
    if (h->magic != BTC_WEIGHTS_MAGIC) return BTC_E_WEIGHTS;
    if (h->version != BTC_WEIGHTS_VERSION) return BTC_E_VERSION;
    uint64_t want = (uint64_t)a->info.weights_bytes;
    if (h->identity != a->weights_identity || h->bytes != want) return BTC_E_WEIGHTS;
    return file_bytes == want + sizeof *h ? BTC_OK : BTC_E_SIZE;
}

static btc_status check_contents(const btc_weights_header *h) {
    btc_checksum c = btc_checksum_part(h + 1, h->bytes / 8, 0);
    return c.sum == h->checksum.sum && c.sums == h->checksum.sums ? BTC_OK : BTC_E_DAMAGED;
}

static btc_status map_file(Side *s, int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return BTC_E_READ;
    if ((uint64_t)st.st_size < sizeof(btc_weights_header)) return BTC_E_SIZE;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return errno == ENOMEM ? BTC_E_MEMORY : BTC_E_READ;
    btc_status status = check_header(s->artifact, map, (uint64_t)st.st_size);
    if (status == BTC_OK && s->check) {
        populate(map, (uint64_t)st.st_size);
        status = check_contents(map);
    }
    if (status == BTC_OK)
        s->map = map, s->bytes = (uint64_t)st.st_size;
    else
        munmap(map, (size_t)st.st_size);
    return status;
}

static bool try_file(void *user, const char *path) {
    Side *s = user;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP);
    if (missing) return false;
    btc_status status = fd < 0 ? BTC_E_READ : map_file(s, fd);
    if (fd >= 0) close(fd);
    if (s->status == BTC_OK) s->status = status;
    return status == BTC_OK;
}

static btc_status open_side_file(const btc_artifact *a, btc_model *m, const char *path, bool check) {
    Side s = {.artifact = a, .check = check};
    bool found = path ? try_file(&s, path) : btc_beside(a, try_file, &s);
    if (!found) return s.status != BTC_OK ? s.status : BTC_E_MISSING;
    m->mapping = s.map;
    m->mapping_bytes = s.bytes;
    m->weights = (const char *)s.map + sizeof(btc_weights_header);
    return BTC_OK;
}

btc_status btc_open_artifact(const btc_artifact *a, btc_model *m, const char *weights_path, uint32_t flags) {
    if (!m || (flags & ~(uint32_t)BTC_OPEN_POPULATE)) return BTC_E_ARGUMENT;
    if (btc_cpu_lacks(a)) return BTC_E_CPU;
    *m = (btc_model){.artifact = a, .weights = a->weights};
    bool all = flags & BTC_OPEN_POPULATE;
    if (!a->weights && a->info.weights_bytes > 0) {
        btc_status s = open_side_file(a, m, weights_path, all);
        if (s != BTC_OK) return s;
    } else if (all) {
        populate(m->weights, (uint64_t)a->info.weights_bytes);
    }
    m->magic = BTC_MODEL_MAGIC;
    return BTC_OK;
}

void btc_close(btc_model *m) {
    if (!btc_artifact_of(m)) return;
    if (m->mapping) munmap(m->mapping, (size_t)m->mapping_bytes);
    *m = (btc_model){0};
}
