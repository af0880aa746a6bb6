/* See format.h. */
#include "panel.h"

#include <string.h>

const NumberFormat *const FORMATS[] = {
#define FORMAT(name) &format_##name,
#include "formats.def"
#undef FORMAT
    NULL};

const NumberFormat *format_find(const char *name) {
    const NumberFormat *const *f = FORMATS;
    while (*f && strcmp((*f)->name, name)) f++;
    return *f;
}

const NumberFormat *format_of_dtype(DType dt) {
    const NumberFormat *const *f = FORMATS;
    while (*f && ((*f)->dt != dt || format_is_compressed(*f) || format_has_blocks(*f))) f++;
    return *f;
}

bool format_is(const NumberFormat *f, unsigned which) {
    if (format_is_compressed(f)) return false;
    return f->block ? f->quantize && (which & FORMATS_QUANTIZED) : (which & FORMATS_PLAIN) != 0;
}

const NumberFormat *format_ask(const char *name, unsigned which) {
    const NumberFormat *f = format_find(name);
    return f && format_is(f, which) ? f : NULL;
}

const char *format_names(Arena *a, unsigned which, const char *between, const char *last) {
    const char *text = "", *name = NULL;
    for (const NumberFormat *const *f = FORMATS; *f; f++) {
        if (!format_is(*f, which)) continue;
        if (name) text = arena_printf(a, "%s%s%s", text, *text ? between : "", name);
        name = (*f)->name;
    }
    return arena_printf(a, "%s%s%s", text, *text ? last : "", name);
}

size_t format_scale_bytes(ScaleKind k) {
    return k == SCALE_EXPONENT ? 1 : 2;
}

void format_scale_store(ScaleKind k, void *out, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (k == SCALE_EXPONENT)
        *(uint8_t *)out = (uint8_t)(bits >> 23);
    else
        dtype_store(k == SCALE_F16 ? DT_F16 : DT_BF16, out, 0, (double)x);
}

double format_bits(const NumberFormat *f) {
    if (f->panels) return f->panels->bits;
    if (!format_has_blocks(f)) return 8.0 * (double)dtype_size(f->dt);
    double scales = 8.0 * (double)format_scale_bytes(f->scale), factors = f->factor_bits;
    return f->bits + (f->minimum ? 2 : 1) * (scales / f->block + factors / f->sub);
}

void format_read(const NumberFormat *f, const void *block, FormatBlock *out) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < FORMAT_FACTORS_MOST; i++) out->factor[i] = out->minimum_factor[i] = 1;
    f->read(block, out);
}

float format_value(const NumberFormat *f, const FormatBlock *b, int i) {
    int value = f->table ? f->table[b->code[i]] : b->code[i], part = i / f->sub;
    float x = b->scale * (float)b->factor[part] * (float)(value - f->zero);
    return f->minimum ? x + b->minimum * (float)b->minimum_factor[part] : x;
}

void format_decode(const NumberFormat *f, const void *data, int64_t first, int64_t n, float *out) {
    if (!format_has_blocks(f)) {
        dtype_convert(DT_F32, out, f->dt, (const char *)data + first * (int64_t)dtype_size(f->dt), n);
        return;
    }
    FormatBlock b;
    for (int64_t end = first + n, at = first; at < end; at++) {
        if (at == first || at % f->block == 0)
            format_read(f, (const char *)data + at / f->block * (int64_t)f->bytes, &b);
        *out++ = format_value(f, &b, (int)(at % f->block));
    }
}

void format_round(const NumberFormat *f, double *x, int64_t n, const float *importance) {
    for (int64_t at = 0; at < n; at += f->block) {
        int m = n - at < f->block ? (int)(n - at) : f->block;
        float numbers[FORMAT_BLOCK_MOST];
        FormatBlock b;
        for (int i = 0; i < m; i++) numbers[i] = (float)x[at + i];
        f->quantize(f, numbers, m, importance ? importance + at : NULL, &b);
        for (int i = 0; i < m; i++) x[at + i] = (double)format_value(f, &b, i);
    }
}
