/* Tile fusion. Stages that follow each other without a barrier and split alike run in one loop over tiles: all
 * of them for some units (or rows) of a worker's share, then all of them for the next tile. The values of a
 * tile are still in the cache when the next stage reads them: a product with its epilogue, the norm or scan
 * behind it, the quantisation for the next product. Only chunks have so many rows that it matters, and only caches
 * make a difference: without one, a value's memory is free for others as soon as it has been read. */
#include "stage.h"

static bool may_join(const Stage *s) {
    return !s->is_call && !s->deferred_store && !s->access.at_once && s->axis != AXIS_REPLICATED;
}

static bool continues(const Stage *first, const Stage *s) {
    return may_join(s) && !s->barrier && s->epoch == first->epoch && stage_same_split(first, s);
}

static int64_t out_bytes(const Value *v) {
    return value_info(v) && value_info(v)->stored ? 4 * type_count(v->type) : 0;
}

/* Bytes per row of what stages [k, end) make. */
static int64_t bytes_of_run(const FuncPlan *p, int k, int end) {
    int64_t bytes = 0;
    for (int j = k; j < end; j++) {
        const Stage *s = p->stages[j];
        for (int i = 0; s->anchor && i < s->anchor->nout; i++) bytes += out_bytes(s->anchor->out[i]);
        for (int i = 0; i < s->nepilogue; i++) bytes += out_bytes(s->epilogue[i]->out[0]);
    }
    return bytes;
}

/* The fewest shares of a tile: whole register tiles of products, and so many numbers of a row that reading
 * them from a farther cache is efficient. */
static int64_t least_tile(const LowerTarget *t, const Stage *s) {
    enum { NUMBERS = 256 };
    int columns =
        t->tuning.tile_columns > t->tuning.dot_columns ? t->tuning.tile_columns : t->tuning.dot_columns;
    int64_t tile = (int64_t)columns * t->lanes, least = NUMBERS > tile ? NUMBERS : tile;
    int64_t unit = s->grain * (s->units / s->shares);
    return unit < least ? (least + unit - 1) / unit : 1;
}

static int64_t tile_of(FuncPlan *p, const LowerTarget *t, int k, int end, int64_t rows) {
    const Stage *s = p->stages[k];
    int64_t bytes = bytes_of_run(p, k, end), room = t->value_room, n;
    if (!bytes) return 0;
    if (s->axis == AXIS_ROWS) return room / bytes > 1 ? room / bytes : 1;
    n = room * s->shares / (bytes * rows);
    int64_t least = least_tile(t, s);
    return n / least > 1 ? n / least * least : least;
}

void plan_tile_loops(FuncPlan *p, const LowerTarget *t, int64_t rows) {
    if (p->f->form != FORM_CHUNK || t->execution == EXECUTION_GRID || !t->cache_line) return;
    for (int k = 0, end; k < p->n; k = end) {
        end = k + 1;
        if (!may_join(p->stages[k])) continue;
        while (end < p->n && continues(p->stages[k], p->stages[end])) end++;
        int64_t tile = end > k + 1 ? tile_of(p, t, k, end, rows) : 0;
        if (!tile) continue;
        p->stages[k]->tile_stages = end - k;
        for (int j = k; j < end; j++) p->stages[j]->tile = tile;
    }
}
