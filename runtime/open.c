/* Opening a model: where its weights are. Either inside the artefact, or in a side file that is mapped
 * read-only. The one file of the library that talks to the operating system; nothing here runs per token. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, madvise */
#endif
#include "core.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LIMIT = 4096, PAGE = 4096 };
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; older kernels refuse it, and pages come at first use */
#endif

static void populate(const void *p, uint64_t bytes) {
    uintptr_t first = (uintptr_t)p / PAGE * PAGE, end = (uintptr_t)p + bytes;
    madvise((void *)first, (size_t)(end - first), MADV_POPULATE_READ); /* advice: it may fail */
}

/* Writes a+b into out [PATH_LIMIT], where a counts na bytes. */
static bool join(char *out, const char *a, size_t na, const char *b) {
    size_t nb = strlen(b);
    if (na + nb + 1 > PATH_LIMIT) return false;
    memcpy(out, a, na);
    memcpy(out + na, b, nb + 1);
    return true;
}

static int open_at(const char *a, size_t na, const char *b) {
    char path[PATH_LIMIT];
    return join(path, a, na, b) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* Beside a file `self`: <self>.weights, then the name that the side file was written under. */
static int open_beside(const btc_artifact *a, const char *self) {
    const char *slash = strrchr(self, '/');
    if (!slash) return -1; /* a bare name says nothing about the folder */
    int fd = open_at(self, strlen(self), ".weights");
    if (fd < 0 && a->weights_file) fd = open_at(self, (size_t)(slash + 1 - self), a->weights_file);
    return fd;
}

static int open_side_file(const btc_artifact *a, const char *path) {
    if (path) return open(path, O_RDONLY | O_CLOEXEC);
    Dl_info info;
    int fd = dladdr((const void *)a, &info) && info.dli_fname ? open_beside(a, info.dli_fname) : -1;
    if (fd >= 0) return fd;
    char self[PATH_LIMIT]; /* linked into a program: the loader knows it only by argv[0] */
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return -1;
    self[n] = 0;
    return open_beside(a, self);
}

static btc_status check_header(const btc_artifact *a, const btc_weights_header *h, uint64_t file_bytes) {
    if (h->magic != BTC_WEIGHTS_MAGIC) return BTC_E_WEIGHTS;
    if (h->version != BTC_WEIGHTS_VERSION) return BTC_E_VERSION;
    uint64_t want = (uint64_t)a->info.weights_bytes;
    bool fits = h->fingerprint == a->info.fingerprint && h->bytes == want && file_bytes == want + sizeof *h;
    return fits ? BTC_OK : BTC_E_WEIGHTS;
}

static btc_status map_weights(const btc_artifact *a, btc_model *m, const char *path) {
    int fd = open_side_file(a, path);
    if (fd < 0) return BTC_E_WEIGHTS;
    struct stat st;
    void *map = MAP_FAILED;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size >= sizeof(btc_weights_header))
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return BTC_E_WEIGHTS;
    btc_status s = check_header(a, map, (uint64_t)st.st_size);
    if (s != BTC_OK) {
        munmap(map, (size_t)st.st_size);
        return s;
    }
    m->mapping = map;
    m->mapping_bytes = (uint64_t)st.st_size;
    m->weights = (const char *)map + sizeof(btc_weights_header);
    return BTC_OK;
}

btc_status btc_open_artifact(const btc_artifact *a, btc_model *m, const char *weights_path, uint32_t flags) {
    if (!m || (flags & ~(uint32_t)BTC_OPEN_POPULATE)) return BTC_E_ARGUMENT;
    if (btc_cpu_lacks(a)) return BTC_E_CPU;
    *m = (btc_model){.artifact = a, .weights = a->weights};
    if (!a->weights && a->info.weights_bytes > 0) {
        btc_status s = map_weights(a, m, weights_path);
        if (s != BTC_OK) return s;
    }
    if (flags & BTC_OPEN_POPULATE) populate(m->weights, (uint64_t)a->info.weights_bytes);
    m->magic = BTC_MODEL_MAGIC;
    return BTC_OK;
}

void btc_close(btc_model *m) {
    if (!btc_artifact_of(m)) return;
    if (m->mapping) munmap(m->mapping, (size_t)m->mapping_bytes);
    *m = (btc_model){0};
}
