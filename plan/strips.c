/* Stages that follow each other without a barrier and split alike are run in strips: some units (or rows) of
 * this thread's share through all of them, then the next. What one makes of a strip is still in the second
 * cache when the next reads it: a product, what hangs on it, the norm or scan behind it and the rounding for
 * the product to come. Only chunks have so many rows that it matters. */
#include "stage.h"

static bool may_join(const Stage *s) {
    return !s->is_call && !s->commit && !s->access.at_once && s->axis != AXIS_REPLICATED;
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
        for (int i = 0; i < s->nposts; i++) bytes += out_bytes(s->posts[i]->out[0]);
    }
    return bytes;
}

/* The fewest shares of a strip: whole tiles of products, and stretches of a row that are long enough for what
 * reads them from further away. */
static int64_t least_strip(const LowerTarget *t, const Stage *s) {
    enum { STRETCH = 256 };
    int columns =
        t->tuning.tile_columns > t->tuning.dot_columns ? t->tuning.tile_columns : t->tuning.dot_columns;
    int64_t tile = (int64_t)columns * t->lanes, least = STRETCH > tile ? STRETCH : tile;
    int64_t unit = s->grain * (s->units / s->shares);
    return unit < least ? (least + unit - 1) / unit : 1;
}

static int64_t strip_of(FuncPlan *p, const LowerTarget *t, int k, int end, int64_t rows) {
    const Stage *s = p->stages[k];
    int64_t bytes = bytes_of_run(p, k, end), room = t->value_room, n;
    if (!bytes) return 0;
    if (s->axis == AXIS_ROWS) return room / bytes > 1 ? room / bytes : 1;
    n = room * s->shares / (bytes * rows);
    int64_t least = least_strip(t, s);
    return n / least > 1 ? n / least * least : least;
}

void plan_strips(FuncPlan *p, const LowerTarget *t, int64_t rows) {
    if (p->f->form != FORM_CHUNK || t->warp) return;
    for (int k = 0, end; k < p->n; k = end) {
        end = k + 1;
        if (!may_join(p->stages[k])) continue;
        while (end < p->n && continues(p->stages[k], p->stages[end])) end++;
        int64_t strip = end > k + 1 ? strip_of(p, t, k, end, rows) : 0;
        if (!strip) continue;
        p->stages[k]->run = end - k;
        for (int j = k; j < end; j++) p->stages[j]->strip = strip;
    }
}
