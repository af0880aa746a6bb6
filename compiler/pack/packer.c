/* The packed weights are cut into segments; each thread fills and writes whole segments. Cuts lie where the output
 * file's offset is a multiple of WINDOW, so that writes are large and aligned: the system then caches the file in
 * huge pages, and a process that maps it later has hundreds of page faults instead of ten thousands. A tensor that
 * cannot be written in parts is a segment of its own. */
#include "packer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/work.h"
#include "pack_source.h"

enum { WINDOW = 4 << 20, SMALL = WINDOW / 16 };

/* A packed tensor of one call. */
typedef struct Item {
    Source source;
    int64_t at, end; /* in the weights */
    int64_t slices;  /* that it is written in, see pack_slices */
} Item;

typedef struct Segment {
    int64_t begin, end; /* in the weights: whole words of the checksum */
    btc_checksum sum;   /* with all that follows */
    int error;          /* an errno */
    const Source *wrong;
} Segment;

typedef struct Packing {
    const Packer *p;
    Arena *arena;
    Item *items;
    int nitems, items_cap;
    Segment *segments;
    int nsegments, segments_cap;
    int fd;
    int64_t at;
    bool summed;
    _Atomic bool failed;
} Packing;

/* ---- what is packed, and the cuts ---- */

static bool find_items(Packing *k) {
    const Packer *p = k->p;
    for (int i = 0; i < p->schedule->ncalls; i++) {
        const BlockCall *call = &p->schedule->calls[i];
        for (int n = 0; n < call->packs->n; n++) {
            const PackItem *it = &call->packs->items[n];
            Item item = {.at = call->weights + it->offset};
            if (!source_find(p->diag, p->model, it, call->prefix, p->target, &item.source)) return false;
            item.end = item.at + it->bytes;
            item.slices = pack_slices(it->kind, item.source.value->type, p->target);
            ARENA_PUSH(k->arena, k->items, k->nitems, k->items_cap, item);
        }
    }
    return true;
}

static int64_t end_of_last(const Packing *k) {
    return k->nsegments ? k->segments[k->nsegments - 1].end : 0;
}

static void cut(Packing *k, int64_t to) {
    Segment s = {.begin = end_of_last(k), .end = to};
    if (to > s.begin) ARENA_PUSH(k->arena, k->segments, k->nsegments, k->segments_cap, s);
}

/* Cuts at all windows of the file up to there. */
static void cut_windows(Packing *k, int64_t to) {
    for (int64_t w; (w = (k->at + end_of_last(k)) / WINDOW * WINDOW + WINDOW - k->at) < to;) cut(k, w);
}

static bool is_whole(const Item *i) {
    int64_t bytes = i->end - i->at;
    return bytes > SMALL && (!i->source.direct || bytes / i->slices > SMALL);
}

static void cut_all(Packing *k) {
    for (int i = 0; i < k->nitems; i++) {
        const Item *it = &k->items[i];
        cut_windows(k, it->at);
        if (is_whole(it)) {
            cut(k, it->at);
            cut(k, (it->end + 7) / 8 * 8);
        }
        cut_windows(k, it->end);
    }
    cut_windows(k, k->p->schedule->weight_bytes);
    cut(k, k->p->schedule->weight_bytes);
}

/* ---- filling one segment, in any thread ---- */

static int first_item(const Packing *k, int64_t at) {
    int lo = 0, hi = k->nitems;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (k->items[mid].end <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* n slices of an item, from slice `first`, to out; the tensors are not needed again soon. */
static void pack_run(const Packing *k, const Item *i, int64_t first, int64_t n, char *out) {
    const Source *s = &i->source;
    const PackItem *it = s->item;
    int64_t each = i->slices / s->parts, bytes = (i->end - i->at) / i->slices;
    for (int64_t end = first + n; first < end; first += n, out += n * bytes) {
        Arena *a = arena_new();
        int64_t part = first / each, from = first % each, at;
        n = each - from < end - first ? each - from : end - first;
        PackSource t = source_slices(s, k->p->target, a, part, from, n, &at);
        pack_write(it->kind, &t, it->format, k->p->target, at, n, out);
        source_release(k->p->model, s, k->p->target, part, from, n);
        arena_free(a);
    }
}

/* The bytes [lo, hi) of an item that is packed from tensors as they are. Pieces that another segment shares
 * are packed aside. */
static void fill_direct(const Packing *k, const Item *i, int64_t lo, int64_t hi, char *out) {
    int64_t bytes = (i->end - i->at) / i->slices;
    for (int64_t at = lo; at < hi;) {
        int64_t first = (at - i->at) / bytes, begin = i->at + first * bytes, n = (hi - begin) / bytes;
        if (begin == at && n > 0) {
            pack_run(k, i, first, n, out + (at - lo));
            at += n * bytes;
            continue;
        }
        char *aside = xmalloc((size_t)bytes);
        int64_t end = begin + bytes < hi ? begin + bytes : hi;
        pack_run(k, i, first, 1, aside);
        memcpy(out + (at - lo), aside + (at - begin), (size_t)(end - at));
        free(aside);
        at = end;
    }
}

/* The same of an item whose values must be computed, or brought together, first. */
static bool fill_gathered(const Packing *k, const Item *i, int64_t lo, int64_t hi, char *out) {
    const PackItem *it = i->source.item;
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    PackSource values;
    bool ok = source_gather(&d, a, k->p->model, &i->source, &values);
    if (ok && lo == i->at && hi == i->end) {
        pack_write(it->kind, &values, it->format, k->p->target, 0, i->slices, out);
    } else if (ok) {
        char *all = xmalloc((size_t)(i->end - i->at));
        pack_write(it->kind, &values, it->format, k->p->target, 0, i->slices, all);
        memcpy(out, all + (lo - i->at), (size_t)(hi - lo));
        free(all);
    }
    arena_free(a);
    return ok;
}

static bool fill(const Packing *k, Segment *s, char *out) {
    for (int n = first_item(k, s->begin); n < k->nitems && k->items[n].at < s->end; n++) {
        const Item *i = &k->items[n];
        int64_t lo = i->at > s->begin ? i->at : s->begin, hi = i->end < s->end ? i->end : s->end;
        if (lo >= hi) continue;
        if (i->source.direct) {
            fill_direct(k, i, lo, hi, out + (lo - s->begin));
        } else if (!fill_gathered(k, i, lo, hi, out + (lo - s->begin))) {
            s->wrong = &i->source;
            return false;
        }
    }
    return true;
}

static void write_segment(void *user, int64_t n) {
    Packing *k = user;
    Segment *s = &k->segments[n];
    if (atomic_load(&k->failed)) return;
    size_t size = (size_t)(s->end - s->begin);
    char *bytes = xmalloc(size);
    memset(bytes, 0, size); /* also what lies between tensors */
    bool filled = fill(k, s, bytes);
    if (filled && k->summed)
        s->sum = btc_checksum_part(bytes, size / 8, (uint64_t)(k->p->schedule->weight_bytes - s->end) / 8);
    if (filled) s->error = file_write_at(k->fd, k->at + s->begin, bytes, size);
    free(bytes);
    if (s->wrong || s->error) atomic_store(&k->failed, true);
    progress_step(k->p->diag->progress);
}

/* ---- all of it ---- */

/* Says what went wrong first in the order of the weights. */
static bool report(const Packing *k, OutFile *o) {
    for (int i = 0; i < k->nsegments; i++) {
        const Segment *s = &k->segments[i];
        PackSource unused;
        if (s->wrong) return source_gather(k->p->diag, k->arena, k->p->model, s->wrong, &unused) && false;
        if (s->error) return out_fail(o, s->error);
    }
    BTC_BUG("packing failed without a reason");
}

static btc_checksum sum_up(const Packing *k) {
    btc_checksum all = {0, 0};
    for (int i = 0; i < k->nsegments; i++) {
        all.sum += k->segments[i].sum.sum;
        all.sums += k->segments[i].sum.sums;
    }
    return all;
}

bool packer_write(void *user, OutFile *o, int64_t at, btc_checksum *sum) {
    const Packer *p = user;
    Packing k = {.p = p, .arena = arena_new(), .fd = fileno(o->f), .at = at, .summed = sum != NULL};
    bool ok = find_items(&k);
    if (ok) {
        cut_all(&k);
        progress_phase(p->diag->progress, "packing weights", k.nsegments);
        work_share(k.nsegments, write_segment, &k);
        progress_done(p->diag->progress);
        ok = !k.failed || report(&k, o);
        if (sum) *sum = sum_up(&k);
    }
    arena_free(k.arena);
    return ok;
}
