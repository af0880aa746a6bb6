/* Panels: the layout of matrices for products. A panel holds `width` outputs side by side, with all inputs k. So a
 * vector load has weights of as many outputs, and no sum runs across lanes. The inputs of a panel are divided into
 * groups, and groups into parts, which are read at once. The inputs of a part that one instruction takes share 32
 * bits of a lane:
 *
 *     f32, f16     [k][width]
 *     bf16         [k/2][width][2]: a pair; an odd k is followed by a zero
 *     compressed   as NumberFormat.panels says: a head, groups, a tail
 *     blocks       a group is a block: { [width] scales; [width] minimums, where there are any; factors; its parts },
 *                  the last group with only as many parts as there are.
 *                  Factors: row i holds [width] bytes with factor i (of 8 bits), or factors 2i and 2i + 1 (of 4
 *                  bits) in their halves; where there are minimums, a factor of a scale and one of a minimum by
 *                  turns.
 *                  A part of 32 inputs, eight fours, is one plane after another of 8, 4, 2 or 1 bits of each
 *                  code, which together are its bits, the lowest ones first. A plane of p bits is p rows of
 *                  [width][4] bytes: four g at row g mod p, from bit p (g div p) on.
 *
 * A matrix is its panels one after the other, the last one padded with zeros. */
#ifndef BTC_FORMATS_PANEL_H
#define BTC_FORMATS_PANEL_H

#include "format.h"

enum { PANEL_READ = 32 }; /* inputs of a part of a block */

/* Inputs that belong together: 1, 2, 8, or a block. */
int panel_group(const NumberFormat *f);
/* Inputs that are read together: a group, or PANEL_READ of a block. */
int panel_part(const NumberFormat *f);
/* Bytes of one group over `width` outputs, of what comes before its parts (scales), and of a part. */
int64_t panel_group_bytes(const NumberFormat *f, int64_t width);
int64_t panel_scales_bytes(const NumberFormat *f, int64_t width);
int64_t panel_part_bytes(const NumberFormat *f, int64_t width);
/* Bytes of a panel before its first group, and behind its last one. */
int64_t panel_head(const NumberFormat *f, int64_t width);
int64_t panel_tail(const NumberFormat *f, int64_t k, int64_t width);
/* Bytes of a panel with k inputs. */
int64_t panel_bytes(const NumberFormat *f, int64_t k, int64_t width);

/* Where factor i of a block lies: its row among the [width] bytes before the parts, and its lowest bit. */
typedef struct FactorPlace {
    int64_t row; /* offset in bytes of the block */
    int bit;
} FactorPlace;
FactorPlace panel_factor(const NumberFormat *f, int i, bool minimum, int64_t width);

/* A plane of a part: some bits of each code. */
typedef struct Plane {
    int bits, first; /* first: of a code */
    int64_t row;     /* of the part's rows, its first */
} Plane;
/* The planes of a code, at most 3; how many there are. */
int panel_planes(const NumberFormat *f, Plane out[3]);

/* Where a panel's numbers come from: output c, input i is element start + c*stride + i of data (by_rows: a
 * row holds the inputs of one output), or start + i*stride + c. */
typedef struct PanelSource {
    DType dt;
    const NumberFormat *blocks; /* data are blocks of this format, by_rows; NULL: numbers of dt */
    const void *data;
    int64_t start, stride;
    bool by_rows;
    const float *importance; /* of the inputs, or NULL: see NumberFormat.quantize */
} PanelSource;
/* The panels of a compressed format. Sizes are in bytes over `width` outputs; the others as in panel_write. */
typedef struct PanelLayout {
    int group;   /* inputs that are read together */
    double bits; /* of a number, about */
    int64_t (*head)(int64_t width);
    int64_t (*group_bytes)(int64_t width);
    int64_t (*tail)(int64_t k, int64_t width);
    bool (*fits)(const PanelSource *src, int64_t outputs, int64_t k,
                 int64_t width); /* the numbers: no loss */
    void (*write)(const PanelSource *src, int64_t outputs, int64_t k, int64_t width, void *out);
} PanelLayout;

/* Writes one panel of `outputs` outputs (the rest up to width are zeros) with k inputs. out is zeroed. Data in
 * blocks must be of format f; a compressed format must fit. */
void panel_write(const PanelSource *src, const NumberFormat *f, int64_t outputs, int64_t k, int64_t width,
                 void *out);

#endif
