/* Panels: how matrices lie for products. A panel is `width` outputs side by side over all inputs k, so that
 * one vector load feeds as many outputs and no sum ever runs across lanes. Inputs come in groups, groups in
 * parts, which are read at once and whose inputs share 32 bits of a lane, as one instruction takes them in:
 *
 *     f32, f16   [k][width]
 *     bf16       [k/2][width][2]: a pair; an odd k is followed by a zero
 *     bf12       see squeeze.h
 *     quantised  a group is a block of the format: { [width] bf16 scales; where there are factors,
 *                [2][width] bytes with those of parts 0 and 1, 2 and 3 (plus 8) in their halves; its parts },
 *                the last one with only as many parts as there are. A part of 32 inputs is
 *                    8 bits  8 x [width][4] codes
 *                    4 bits  4 x [width][4] bytes: fours of inputs g in the low half, g + 4 in the high half
 *                    6 bits  as 4 bits for the low ones, then 2 x [width][4] with the upper two bits of fours
 *                            g (g + 4) at bit 2g
 *
 * A matrix is its panels one after the other, the last one padded with zeros. */
#ifndef BTC_PANEL_H
#define BTC_PANEL_H

#include "quant.h"

/* Inputs that belong together: 1, 2, 8, or a quantised block. */
int panel_group(Storage s);
/* Inputs that are read together: a group, or QUANT_PART of a quantised one. */
int panel_part(Storage s);
/* Bytes of one group over `width` outputs, of what comes before its parts (scales), and of a part. */
int64_t panel_group_bytes(Storage s, int64_t width);
int64_t panel_scales_bytes(Storage s, int64_t width);
int64_t panel_part_bytes(Storage s, int64_t width);
/* Bytes of a panel before its first group. */
int64_t panel_head(Storage s, int64_t width);
/* Bytes of a panel with k inputs. */
int64_t panel_bytes(Storage s, int64_t k, int64_t width);

/* Where a panel's numbers come from: output c, input i is element start + c*stride + i of data (by_rows: a
 * row holds the inputs of one output), or start + i*stride + c. */
typedef struct PanelSource {
    DType dt;
    const void *data;
    int64_t start, stride;
    bool by_rows;
    const float *importance; /* of the inputs, or NULL: see quant_block */
} PanelSource;
/* Writes one panel of `outputs` outputs (the rest up to width are zeros) with k inputs. out is zeroed. */
void panel_write(const PanelSource *src, Storage s, int64_t outputs, int64_t k, int64_t width, void *out);

#endif
