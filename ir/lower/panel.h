/* Panels: how matrices lie for products. A panel is `width` outputs side by side over all inputs k, so that
 * one vector load feeds as many outputs and no sum ever runs across lanes. Inputs come in groups that share
 * 32 bits of a lane, which one instruction takes in: f32, f16   [k][width] bf16       [k/2][width][2] a pair;
 * an odd k is followed by a zero q8         [k/32] of { 8 x [width][4] codes; [width] f16 scales } q4 [k/32]
 * of { 4 x [width][4] bytes: group g in the low half, g + 4 in the high half; scales } q6         as q4 for
 * the low four bits, then 2 x [width][4] with the upper two bits of group g (g + 4) at bit 2g; scales bf12
 * see squeeze.h A matrix is its panels one after the other, the last one padded with zeros. */
#ifndef BTC_PANEL_H
#define BTC_PANEL_H

#include "base/quant.h"

/* Inputs that are read together: 1, 2, 8, or a block of QUANT_BLOCK. */
int panel_group(Storage s);
/* Bytes of one group over `width` outputs. */
int64_t panel_group_bytes(Storage s, int64_t width);
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
