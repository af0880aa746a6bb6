/* Layouts: how a weight lies in the packed weights, and the writing of it. A weight is `lead` matrices of
 * [rows, cols]; a layout cuts it into slices of one size, each written without the others, in any order and by any
 * thread. */
#ifndef BTC_FORMATS_LAYOUT_H
#define BTC_FORMATS_LAYOUT_H

#include "panel.h"

typedef enum PackKind {
    PACK_ROWS,       /* f32, row-major */
    PACK_TRANSPOSED, /* f32, last two axes swapped; a slice is a matrix */
    PACK_PANELS,     /* [.., o, i] in panels of `panel` outputs (panel.h), in the weight's number format */
    PACK_PANELS_IO,  /* the same of [.., i, o] */
    PACK_PANELS_F32, /* [o, i] in panels of f32 */
    PACK_TABLE,      /* rows of plain numbers in the weight's number format, row-major */
    PACK_FFT,        /* filters h[c,l] (pack_fft.h); one slice */
} PackKind;

typedef struct Layout {
    PackKind kind;
    const NumberFormat *format;
    int64_t lead, rows, cols;
    int panel, lanes; /* outputs of a panel; numbers of a vector, for PACK_FFT */
} Layout;

const char *pack_kind_name(PackKind kind);
int64_t layout_bytes(const Layout *l);
int64_t layout_slices(const Layout *l);

/* The numbers to be packed, row-major. */
typedef struct LayoutSource {
    DType dt;                   /* of data */
    const NumberFormat *blocks; /* data are blocks of this format; NULL: numbers of dt */
    const void *data;
    const float *importance; /* of the inputs, a row for each matrix; or NULL: see NumberFormat.quantize */
} LayoutSource;
/* Writes n of the slices, from slice `first`, to out. */
void layout_write(const Layout *l, const LayoutSource *src, int64_t first, int64_t n, void *out);
/* Whether the numbers of these panels can be written in the layout's format, which is compressed. */
bool layout_fits(const Layout *l, const LayoutSource *src, int64_t first, int64_t n);

#endif
