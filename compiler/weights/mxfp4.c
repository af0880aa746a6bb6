/* Matrices in MXFP4 as transformers and its relatives publish them, in two tensors of bytes:
 *     X_blocks [.., n, 16]    numbers 2i and 2i + 1 of a block in the lower and the upper half of byte i
 *     X_scales [.., n]        the scale of each block, an exponent
 * They become one tensor X [.., 32 n] in blocks as GGUF has them (formats/mxfp4.c), where a byte holds numbers i and
 * 16 + i. OCP Microscaling Formats (MX) Specification v1.0, sec. 5.3.3. */
#include <string.h>

#include "container.h"

enum { HALF = 16, NUMBERS = 2 * HALF };

static void write_block(uint8_t scale, const uint8_t *in, uint8_t *out) {
    uint8_t code[NUMBERS];
    for (int i = 0; i < HALF; i++) code[2 * i] = in[i] & 15, code[2 * i + 1] = in[i] >> 4;
    *out++ = scale;
    for (int i = 0; i < HALF; i++) out[i] = (uint8_t)(code[i] | code[HALF + i] << 4);
}

static bool is_pair(const RawTensor *blocks, const RawTensor *scales) {
    if (blocks->dt != DT_U8 || scales->dt != DT_U8 || blocks->rank != scales->rank + 1) return false;
    if (scales->rank < 1 || blocks->dim[blocks->rank - 1] != HALF) return false;
    for (int i = 0; i < scales->rank; i++)
        if (blocks->dim[i] != scales->dim[i]) return false;
    return true;
}

static bool join(Diag *d, WeightSet *w, const char *name, RawTensor *blocks, RawTensor *scales) {
    const NumberFormat *f = format_find("mxfp4");
    RawTensor t = {.name = name, .dt = DT_COUNT, .blocks = f, .rank = scales->rank};
    int64_t n = raw_tensor_count(scales), count;
    memcpy(t.dim, scales->dim, sizeof t.dim);
    if (__builtin_mul_overflow(t.dim[t.rank - 1], NUMBERS, &t.dim[t.rank - 1]) ||
        !container_measure(&t, &count))
        return diag_error(d, container_loc(blocks->file, blocks->name), "the tensor is too large");
    uint8_t *data = arena_alloc(w->arena, t.bytes);
    for (int64_t i = 0; i < n; i++)
        write_block(scales->data[i], blocks->data + i * HALF, data + i * (int64_t)f->bytes);
    t.data = data, t.file = blocks->file;
    blocks->used = scales->used = true;
    return weights_put(d, w, &t);
}

bool weights_join_mxfp4(Diag *d, WeightSet *w) {
    static const char end[] = "_blocks";
    for (int i = 0; i < w->n; i++) {
        const char *of = w->tensors[i].name;
        size_t n = strlen(of);
        if (n < sizeof end || strcmp(of + n - (sizeof end - 1), end) != 0) continue;
        const char *name = arena_strndup(w->arena, of, n - (sizeof end - 1));
        RawTensor *scales = weights_find(w, arena_printf(w->arena, "%s_scales", name));
        if (!scales || weights_find(w, name) || !is_pair(&w->tensors[i], scales)) continue;
        if (!join(d, w, name, &w->tensors[i], scales)) return false;
        i++; /* X stands before X_blocks now */
    }
    return true;
}
