/* See kernels.h. */
#include "kernels.h"

#include <string.h>

#include "squeeze.h"

enum { MAX_ROWS = 8, MAX_VECTORS = 64 };

static const char *const MATHS[] = {"f32", "bf16", "int8"};

bool math_parse(const char *text, Math *out) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, MATHS[i])) return *out = (Math)i, true;
    return false;
}

const char *math_name(Math m) {
    return MATHS[m];
}

Math math_of(const Op *op, const Value *w, Storage *stored) {
    Math math = MATH_F32;
    Storage s;
    const Op *leaf = w->def;
    while (leaf && leaf->def == OP_TABLE[OP_reshape]) leaf = leaf->in[0]->def;
    if (!leaf || !math_parse(attr_str(op, "math", "f32"), &math)) return MATH_F32;
    if (!storage_parse(attr_str(leaf, "storage", "f32"), &s)) return MATH_F32;
    if (stored) *stored = s;
    bool fits = math == MATH_INT8 ? s.quant != NULL : math == MATH_BF16 && !s.quant && s.dt == DT_BF16;
    return fits ? math : MATH_F32;
}

/* A kernel that is being written. Vectors are numbered through all panels of the tile. */
typedef struct Kernel {
    LB b;
    const LowerTarget *t;
    KernelSpec s;
    int vectors; /* of a panel */
    Value *x, *scales, *x_stride, *w, *w_stride, *from, *parts, *sums, *more;
    Value *xp[MAX_ROWS], *sp[MAX_ROWS], *wp[MAX_VECTORS];
    Value *table[MAX_VECTORS];           /* of squeezed panels */
    Value *acc[MAX_ROWS * MAX_VECTORS];  /* variables */
    Value *ints[MAX_ROWS * MAX_VECTORS]; /* variables: sums of a block of bytes */
} Kernel;

static int columns(const Kernel *k) {
    return k->s.panels * k->vectors;
}

/* Byte i behind offset `at` of vector c's panel, as a vector of dt. */
static Value *load_weights(Kernel *k, DType dt, int c, Value *at, int64_t i) {
    LB *b = &k->b;
    int64_t within = c % k->vectors * b->lanes * (int64_t)dtype_size(dt);
    Value *p = lb_offset(b, k->wp[c / k->vectors], lb_addi(b, at, i + within));
    return lb_load(b, dt, b->lanes, p, lb_i64(b, 0), 0);
}

/* ---- codes ---- */

static Value *mask(LB *b, Value *x, int bits) {
    return lb_and(b, x, lb_i32(b, (1 << bits) - 1));
}

/* Four codes of inputs 4g .. 4g+3 of a part, packed: vector c. `at`: offset of the part; g is known. */
static Value *codes(Kernel *k, int c, Value *at, int g) {
    LB *b = &k->b;
    const QuantFormat *f = k->s.w.quant;
    int64_t row = 4 * k->t->panel;
    if (f->bits == 8) return load_weights(k, DT_I32, c, at, g * row);
    Value *x = load_weights(k, DT_I32, c, at, g % 4 * row);
    if (g >= 4) x = lb_shr(b, x, lb_i32(b, 4));
    x = lb_and(b, x, lb_i32(b, 0x0f0f0f0f));
    if (f->bits == 4) return x;
    Value *up = load_weights(k, DT_I32, c, at, (4 + g / 4) * row);
    int shift = 4 - 2 * (g % 4);
    if (shift > 0) up = lb_shl(b, up, lb_i32(b, shift));
    if (shift < 0) up = lb_shr(b, up, lb_i32(b, -shift));
    return lb_or(b, x, lb_and(b, up, lb_i32(b, 0x30303030)));
}

typedef struct Vectors {
    Value *v[MAX_VECTORS];
} Vectors;

static void load_scales(Kernel *k, Value *group, Vectors *d) {
    for (int c = 0; c < columns(k); c++) d->v[c] = load_weights(k, DT_F16, c, group, 0);
}

/* Factors of part u (known) of the block at offset `group`, -8 .. 7. */
static void load_factors(Kernel *k, Value *group, int u, Vectors *f) {
    LB *b = &k->b;
    int64_t row = (2 + u / 2) * k->t->panel;
    for (int c = 0; c < columns(k); c++) {
        Value *both = load_weights(k, DT_U8, c, group, row);
        f->v[c] =
            lb_sub(b, u % 2 ? lb_shr(b, both, lb_i32(b, 4)) : mask(b, both, 4), lb_i32(b, QUANT_FACTOR));
    }
}

/* Where a kernel is within a block. */
typedef struct Part {
    Value *group; /* offset of the block */
    int u;        /* of its parts, known */
    Value *at;    /* offset of the part */
    Value *input; /* number of its first input */
} Part;

/* Four bytes for each of the inputs 4g .. 4g+3 of a part, kernel_zero standing for 0. With factors, each byte
 * is factor * code + (128 - 8 * factor), from 0 to 255, so one product of 32 bits makes all four. */
typedef struct Bytes {
    Vectors factor, base;
} Bytes;

static void begin_bytes(Kernel *k, const Part *p, Bytes *y) {
    LB *b = &k->b;
    if (!k->s.w.quant->factors) return;
    load_factors(k, p->group, p->u, &y->factor);
    for (int c = 0; c < columns(k); c++) {
        Value *eights = lb_mul(b, y->factor.v[c], lb_i32(b, 0x08080808));
        y->base.v[c] = lb_sub(b, lb_i32(b, (int32_t)0x80808080), eights);
    }
}

static Value *four_bytes(Kernel *k, const Part *p, const Bytes *y, int c, int g) {
    LB *b = &k->b;
    Value *four = codes(k, c, p->at, g);
    if (!k->s.w.quant->factors) return four;
    return lb_add(b, lb_mul(b, four, y->factor.v[c]), y->base.v[c]);
}

int kernel_zero(Storage w) {
    return w.quant->factors ? 128 : w.quant->zero;
}

/* ---- one part of the inputs ---- */

/* acc += x[r][i] * w, i: the number of an f32 input */
static void multiply(Kernel *k, const Vectors *w, Value *i) {
    LB *b = &k->b;
    for (int r = 0; r < k->s.rows; r++) {
        Value *x = lb_splat(b, lb_load(b, DT_F32, 0, k->xp[r], i, 0));
        for (int c = 0; c < columns(k); c++) {
            Value *acc = k->acc[r * columns(k) + c];
            lb_set(b, acc, lb_fma(b, x, w->v[c], lb_get(b, acc)));
        }
    }
}

/* What is done with vectors of weights, f32 or pairs of bf16: products, or storing them. */
typedef void Use(Kernel *k, const Vectors *w, Value *input);

static void plain_group(Kernel *k, Value *group, Value *at) {
    Vectors w;
    for (int c = 0; c < columns(k); c++) w.v[c] = load_weights(k, k->s.w.dt, c, at, 0);
    multiply(k, &w, group);
}

/* acc += x[r][2 pair] * lower half + x[r][2 pair + 1] * upper half */
static void multiply_pair(Kernel *k, const Vectors *w, Value *pair) {
    LB *b = &k->b;
    Vectors half;
    Value *i = lb_muli(b, pair, 2);
    for (int c = 0; c < columns(k); c++) half.v[c] = lb_bits(b, lb_shl(b, w->v[c], lb_i32(b, 16)), DT_F32);
    multiply(k, &half, i);
    for (int c = 0; c < columns(k); c++)
        half.v[c] = lb_bits(b, lb_and(b, w->v[c], lb_i32(b, (int32_t)0xffff0000)), DT_F32);
    multiply(k, &half, lb_addi(b, i, 1));
}

/* (code - zero) * scale as code * scale - zero * scale: all of it exact. */
static void quantised_part(Kernel *k, const Part *p, const Vectors *scales, Use *use) {
    LB *b = &k->b;
    Vectors d = *scales, low, four, w;
    if (k->s.w.quant->factors) load_factors(k, p->group, p->u, &four);
    for (int c = 0; c < columns(k); c++) {
        if (k->s.w.quant->factors) d.v[c] = lb_mul(b, d.v[c], lb_cast(b, four.v[c], DT_F32));
        low.v[c] = lb_mul(b, d.v[c], lb_f32(b, -k->s.w.quant->zero));
    }
    for (int g = 0; g < QUANT_PART / 4; g++) {
        for (int c = 0; c < columns(k); c++) four.v[c] = codes(k, c, p->at, g);
        for (int j = 0; j < 4; j++) {
            for (int c = 0; c < columns(k); c++) {
                Value *u = j ? lb_shr(b, four.v[c], lb_i32(b, 8 * j)) : four.v[c];
                if (j < 3) u = mask(b, u, 8);
                w.v[c] = lb_fma(b, lb_cast(b, u, DT_F32), d.v[c], low.v[c]);
            }
            use(k, &w, lb_addi(b, p->input, 4 * g + j));
        }
    }
}

/* Of a half of a squeezed group, four inputs: the pairs of inputs 2j and 2j + 1 of vector c are in
 * pairs[j].v[c]. */
static void squeezed_half(Kernel *k, Value *at, int half, Vectors pairs[2]) {
    LB *b = &k->b;
    int64_t row = 4 * k->t->panel;
    for (int c = 0; c < columns(k); c++) {
        Value *codes = load_weights(k, DT_I32, c, at, 2 * row),
              *low = load_weights(k, DT_I32, c, at, half * row);
        Value *high = lb_lookup(b, half ? lb_shr(b, codes, lb_i32(b, 4)) : codes, k->table[c]);
        pairs[0].v[c] = lb_zip_low(b, low, high), pairs[1].v[c] = lb_zip_high(b, low, high);
    }
}

/* What is done with the pairs of a group, which are numbers `pair` and on among the pairs of all inputs. */
static void pairs_group(Kernel *k, Value *group, Value *at, Use *use) {
    LB *b = &k->b;
    Vectors pairs[2];
    if (!k->s.w.squeezed) {
        for (int c = 0; c < columns(k); c++) pairs[0].v[c] = load_weights(k, DT_I32, c, at, 0);
        use(k, &pairs[0], group);
        return;
    }
    for (int i = 0; i < SQUEEZE_GROUP / 2; i++) {
        if (i % 2 == 0) squeezed_half(k, at, i / 2, pairs);
        use(k, &pairs[i % 2], lb_addi(b, lb_muli(b, group, SQUEEZE_GROUP / 2), i));
    }
}

/* pair: the number of the pair of inputs. */
static void dot_pair(Kernel *k, const Vectors *w, Value *pair) {
    LB *b = &k->b;
    for (int r = 0; r < k->s.rows; r++) {
        Value *x = lb_splat(b, lb_load(b, DT_I32, 0, k->xp[r], pair, 0));
        for (int c = 0; c < columns(k); c++) {
            Value *acc = k->acc[r * columns(k) + c];
            lb_set(b, acc, lb_dot2(b, lb_get(b, acc), w->v[c], x));
        }
    }
}

/* Sums of a block in integers begin with -zero * sum(x): so bytes count as byte - zero. */
static void begin_ints(Kernel *k, Value *group) {
    LB *b = &k->b;
    for (int r = 0; r < k->s.rows; r++) {
        Value *first = lb_splat(b, lb_load(b, DT_I32, 0, k->sp[r], lb_addi(b, lb_muli(b, group, 2), 1), 0));
        for (int c = 0; c < columns(k); c++) lb_set(b, k->ints[r * columns(k) + c], first);
    }
}

static void dot_part(Kernel *k, const Part *p) {
    LB *b = &k->b;
    int cols = columns(k);
    Bytes y;
    begin_bytes(k, p, &y);
    for (int g = 0; g < QUANT_PART / 4; g++) {
        Vectors w;
        for (int c = 0; c < cols; c++) w.v[c] = four_bytes(k, p, &y, c, g);
        for (int r = 0; r < k->s.rows; r++) {
            Value *at = lb_offset(b, k->xp[r], p->input);
            Value *x = lb_splat(b, lb_load(b, DT_I32, 0, at, lb_i64(b, g), 0));
            for (int c = 0; c < cols; c++) {
                Value *sum = k->ints[r * cols + c];
                lb_set(b, sum, lb_dot4(b, lb_get(b, sum), w.v[c], x));
            }
        }
    }
}

static void end_ints(Kernel *k, Value *group, const Vectors *scales) {
    LB *b = &k->b;
    int cols = columns(k);
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < k->s.rows; r++) {
            Value *dx = lb_splat(b, lb_load(b, DT_F32, 0, k->sp[r], lb_muli(b, group, 2), 0));
            Value *y = lb_mul(b, lb_cast(b, lb_get(b, k->ints[r * cols + c]), DT_F32), scales->v[c]);
            lb_set(b, k->acc[r * cols + c], lb_fma(b, y, dx, lb_get(b, k->acc[r * cols + c])));
        }
}

/* ---- loops over groups ---- */

/* Whether a kernel computes longer than it reads: several rows, or f32 made of few bits. */
static bool computes_more(const KernelSpec *s) {
    return s->rows > 1 || (s->w.quant && s->math == MATH_F32);
}

/* Asks for weights that come from memory, into the second cache: the buffers of the first one are for what is
 * read now. */
static void ask_ahead(Kernel *k, Value *at, int64_t bytes) {
    LB *b = &k->b;
    const Tuning *u = &k->t->tuning;
    int64_t ahead = computes_more(&k->s) ? u->busy_prefetch_bytes : u->prefetch_bytes;
    if (!k->s.streams || !ahead || k->t->warp) return;
    for (int p = 0; p < k->s.panels; p++)
        for (int64_t line = 0; line < bytes; line += 64)
            lb_prefetch(b, lb_offseti(b, k->wp[p], ahead + line), at, DT_U8);
}

static void one_group(Kernel *k, Value *group, Value *at) {
    if (k->s.math == MATH_BF16)
        pairs_group(k, group, at, dot_pair);
    else if (k->s.w.dt == DT_BF16)
        pairs_group(k, group, at, multiply_pair);
    else
        plain_group(k, group, at);
}

/* Groups in a turn of the loop. */
static int unroll_of(const Kernel *k) {
    int64_t bytes = panel_group_bytes(k->s.w, k->t->panel);
    int n = k->s.streams ? (int)(k->t->tuning.stream_bytes / bytes)
                         : k->t->tuning.tile_unroll / panel_group(k->s.w);
    return n < 1 ? 1 : n;
}

/* Offset in its panel of group g, counted from k->from. */
static Value *group_at(Kernel *k, Value *g) {
    LB *b = &k->b;
    Value *at = lb_muli(b, lb_add(b, k->from, g), panel_group_bytes(k->s.w, k->t->panel));
    return lb_addi(b, at, panel_head(k->s.w, k->t->panel));
}

/* Groups of one part. */
static void plain_groups(Kernel *k) {
    LB *b = &k->b;
    int n = unroll_of(k);
    int64_t bytes = panel_group_bytes(k->s.w, k->t->panel);
    Value *main = n > 1 ? lb_mul(b, lb_div(b, k->parts, lb_i64(b, n)), lb_i64(b, n)) : k->parts;
    KFOR (b, g, lb_i64(b, 0), main, n) {
        Value *at = group_at(k, g);
        ask_ahead(k, at, n * bytes);
        for (int u = 0; u < n; u++) one_group(k, lb_addi(b, g, u), lb_addi(b, at, u * bytes));
    }
    if (n == 1) return;
    KFOR (b, g, main, k->parts, 1) one_group(k, g, group_at(k, g));
}

/* What is done with a part of a block. */
typedef void PartUse(Kernel *k, const Part *p, const Vectors *scales);

/* The parts of block g, all of them or the first `left` (an i64 above 0; else NULL). */
static void block_parts(Kernel *k, Value *g, Value *left, const Vectors *scales, PartUse *use) {
    LB *b = &k->b;
    int parts = k->s.w.quant->block / QUANT_PART;
    int64_t bytes = panel_part_bytes(k->s.w, k->t->panel);
    Value *group = group_at(k, g), *input = lb_muli(b, g, k->s.w.quant->block);
    for (int u = 0; u < (left ? parts - 1 : parts); u++) {
        int64_t behind = panel_scales_bytes(k->s.w, k->t->panel) + u * bytes;
        Part p = {group, u, lb_addi(b, group, behind), lb_addi(b, input, u * QUANT_PART)};
        if (left && u) lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, u)));
        ask_ahead(k, u ? p.at : group, u ? bytes : behind + bytes);
        use(k, &p, scales);
        if (left && u) lb_if_end(b);
    }
}

static void dot_use(Kernel *k, const Part *p, const Vectors *scales) {
    (void)scales;
    dot_part(k, p);
}

static void multiply_use(Kernel *k, const Part *p, const Vectors *scales) {
    quantised_part(k, p, scales, multiply);
}

static void one_block(Kernel *k, Value *g, Value *left) {
    Vectors scales;
    bool ints = k->s.math == MATH_INT8;
    load_scales(k, group_at(k, g), &scales);
    if (ints) begin_ints(k, g);
    block_parts(k, g, left, &scales, ints ? dot_use : multiply_use);
    if (ints) end_ints(k, g, &scales);
}

/* All blocks of k->parts; `each` writes what is done with one, of which `left` parts are there. */
static void blocks(Kernel *k, void each(Kernel *k, Value *g, Value *left)) {
    LB *b = &k->b;
    int parts = k->s.w.quant->block / QUANT_PART;
    Value *whole = lb_div(b, k->parts, lb_i64(b, parts));
    KFOR (b, g, lb_i64(b, 0), whole, 1) each(k, g, NULL);
    if (parts == 1) return;
    Value *left = lb_rem(b, k->parts, lb_i64(b, parts));
    lb_if_begin(b, lb_cmp(b, "gt", left, lb_i64(b, 0)));
    each(k, whole, left);
    lb_if_end(b);
}

/* ---- functions ---- */

LB kernel_function(Lower *l, const char *name) {
    Func *f = ir_func_new(l->b.f->module, name, LEVEL_LOOP);
    attr_set(l->arena, &f->attrs, (Attr){.name = "helper", .kind = AT_BOOL, .i = 1});
    LB b = lb_new(f, l->t->lanes);
    b.loc = l->b.loc;
    return b;
}

static Kernel kernel_begin(Lower *l, KernelSpec s, const char *name) {
    return (Kernel){.b = kernel_function(l, name), .t = l->t, .s = s, .vectors = l->t->panel / l->t->lanes};
}

static Value *stepped(LB *b, Value *p, Value *stride, int n) {
    return n ? lb_offset(b, p, lb_muli(b, stride, n)) : p;
}

static void load_tables(Kernel *k) {
    for (int c = 0; c < columns(k) && k->s.w.squeezed; c++)
        k->table[c] = load_weights(k, DT_I32, c, lb_i64(&k->b, 0), 0);
}

static void open_pointers(Kernel *k) {
    LB *b = &k->b;
    Func *f = b->f;
    Type i64 = type_scalar(DT_I64, 0);
    k->x = ir_param_add(f, "x", type_ptr()), k->scales = ir_param_add(f, "scales", type_ptr());
    k->x_stride = ir_param_add(f, "x_stride", i64);
    k->w = ir_param_add(f, "w", type_ptr()), k->w_stride = ir_param_add(f, "w_stride", i64);
    k->from = ir_param_add(f, "from", i64), k->parts = ir_param_add(f, "parts", i64);
    k->sums = ir_param_add(f, "sums", type_ptr()), k->more = ir_param_add(f, "more", i64);
    for (int r = 0; r < k->s.rows; r++) {
        k->xp[r] = stepped(b, k->x, k->x_stride, r);
        k->sp[r] = stepped(b, k->scales, k->x_stride, r);
    }
    for (int p = 0; p < k->s.panels; p++) k->wp[p] = stepped(b, k->w, k->w_stride, p);
    load_tables(k);
}

const char *kernel_of(Lower *l, KernelSpec s) {
    const char *name = arena_printf(l->arena, "product_%s_%s_%dx%d%s", storage_name(s.w), math_name(s.math),
                                    s.rows, s.panels, s.streams ? "_streams" : "");
    if (ir_func_find(l->b.f->module, name)) return name;
    Kernel k = kernel_begin(l, s, name);
    LB *b = &k.b;
    open_pointers(&k);
    int n = s.rows * columns(&k);
    if (s.rows > MAX_ROWS || columns(&k) > MAX_VECTORS) BTC_BUG("kernel %s is too large", name);
    for (int i = 0; i < n; i++) k.acc[i] = lb_var(b, lb_splat(b, lb_f32(b, 0)));
    for (int i = 0; i < n && s.math == MATH_INT8; i++) k.ints[i] = lb_var(b, lb_splat(b, lb_i32(b, 0)));
    lb_if_begin(b, lb_cmp(b, "ne", k.more, lb_i64(b, 0)));
    for (int i = 0; i < n; i++)
        lb_set(b, k.acc[i], lb_load(b, DT_F32, b->lanes, k.sums, lb_i64(b, (int64_t)i * b->lanes), 0));
    lb_if_end(b);
    if (s.w.quant)
        blocks(&k, one_block);
    else
        plain_groups(&k);
    for (int i = 0; i < n; i++)
        lb_store(b, DT_F32, k.sums, lb_i64(b, (int64_t)i * b->lanes), lb_get(b, k.acc[i]), 0);
    return name;
}

static void store_input(Kernel *k, const Vectors *w, Value *input) {
    LB *b = &k->b;
    Value *at = lb_muli(b, input, k->t->panel);
    for (int c = 0; c < columns(k); c++)
        lb_store(b, DT_F32, k->sums, lb_addi(b, at, (int64_t)c * b->lanes), w->v[c], 0);
}

static void store_pair(Kernel *k, const Vectors *w, Value *pair) {
    LB *b = &k->b;
    Value *at = lb_muli(b, pair, k->t->panel);
    for (int c = 0; c < columns(k); c++)
        lb_store(b, DT_I32, k->sums, lb_addi(b, at, (int64_t)c * b->lanes), w->v[c], 0);
}

static void store_use(Kernel *k, const Part *p, const Vectors *scales) {
    quantised_part(k, p, scales, store_input);
}

static void unpack_block(Kernel *k, Value *g, Value *left) {
    Vectors scales;
    load_scales(k, group_at(k, g), &scales);
    block_parts(k, g, left, &scales, store_use);
}

/* ---- bytes of weights with factors, as a format of 8 bits without ---- */

static Value *bytes_at(Kernel *k, Value *g, int64_t behind) {
    LB *b = &k->b;
    Storage as = kernel_unpacked(k->s.w, MATH_INT8);
    return lb_offset(b, k->sums, lb_addi(b, lb_muli(b, g, panel_group_bytes(as, k->t->panel)), behind));
}

static void bytes_use(Kernel *k, const Part *p, const Vectors *scales) {
    LB *b = &k->b;
    Storage as = kernel_unpacked(k->s.w, MATH_INT8);
    int64_t behind = panel_scales_bytes(as, k->t->panel) + p->u * panel_part_bytes(as, k->t->panel);
    Value *to = bytes_at(k, lb_div(b, p->input, lb_i64(b, k->s.w.quant->block)), behind);
    Bytes y;
    (void)scales;
    begin_bytes(k, p, &y);
    for (int g = 0; g < QUANT_PART / 4; g++)
        for (int c = 0; c < columns(k); c++)
            lb_store(b, DT_I32, to, lb_i64(b, (int64_t)g * k->t->panel + (int64_t)c * b->lanes),
                     four_bytes(k, p, &y, c, g), 0);
}

static void bytes_block(Kernel *k, Value *g, Value *left) {
    LB *b = &k->b;
    Vectors scales;
    load_scales(k, group_at(k, g), &scales);
    for (int c = 0; c < columns(k); c++)
        lb_store(b, DT_F16, bytes_at(k, g, 0), lb_i64(b, (int64_t)c * b->lanes), scales.v[c], 0);
    block_parts(k, g, left, &scales, bytes_use);
}

/* ---- unpacking ---- */

Storage kernel_unpacked(Storage w, Math math) {
    Storage s = {.dt = w.squeezed ? DT_BF16 : DT_F32};
    if (math == MATH_INT8 && w.quant && (!storage_parse("q8", &s) || s.quant->block != w.quant->block))
        BTC_BUG("%s has no bytes", w.quant->name);
    return s;
}

const char *kernel_unpack(Lower *l, Storage w, Math math) {
    bool streams = l->form == FORM_STEP;
    const char *name =
        arena_printf(l->arena, "unpack_%s_%s%s", storage_name(w), math_name(math), streams ? "_streams" : "");
    if (ir_func_find(l->b.f->module, name)) return name;
    Kernel k = kernel_begin(l, (KernelSpec){w, math, .rows = 1, .panels = 1, .streams = streams}, name);
    LB *b = &k.b;
    Type i64 = type_scalar(DT_I64, 0);
    k.wp[0] = ir_param_add(b->f, "w", type_ptr());
    k.from = ir_param_add(b->f, "from", i64), k.parts = ir_param_add(b->f, "parts", i64);
    k.sums = ir_param_add(b->f, "out", type_ptr());
    load_tables(&k);
    if (w.quant) {
        blocks(&k, math == MATH_INT8 ? bytes_block : unpack_block);
        return name;
    }
    KFOR (b, g, lb_i64(b, 0), k.parts, 1) {
        Value *at = group_at(&k, g);
        ask_ahead(&k, at, panel_group_bytes(w, l->t->panel));
        pairs_group(&k, g, at, store_pair);
    }
    return name;
}

/* A step has few rows, and its weights come from memory: all rows at once, so that each weight is read and
 * taken apart once, with as many panels as then fit beside the sums. */
static void step_tile(const Lower *l, int sums, KernelSpec *s) {
    int v = l->t->panel / l->t->lanes, rows = MAX_ROWS, panels = 1;
    int taken = s->w.squeezed ? 4 : 1; /* by a vector of weights: a table, and pairs */
    while (rows > 1 && sums * rows * v + v + 2 > l->t->vregs) rows /= 2;
    while (panels < 4 && (sums * rows + taken) * (panels + 1) * v + 2 <= l->t->vregs) panels++;
    s->rows = rows, s->panels = panels, s->streams = true;
}

KernelSpec kernel_tile(const Lower *l, Storage w, Math math) {
    const Tuning *u = &l->t->tuning;
    int v = l->t->panel / l->t->lanes;
    bool ints = math == MATH_INT8;
    int rows = ints ? u->dot_rows : u->tile_rows, cols = ints ? u->dot_columns : u->tile_columns;
    KernelSpec s = {.w = w, .math = math, .rows = rows, .panels = cols < v ? 1 : cols / v};
    if (l->form == FORM_STEP) step_tile(l, ints ? 2 : 1, &s);
    return s;
}
