/* bf16 in 12 bits, without loss. The exponents of a panel are close together: their upper 7 bits take few values.
 * A number is stored as its low byte (last bit of the exponent, mantissa) and a code of 4 bits for the high byte
 * (sign, upper 7 bits of the exponent). A table of the panel gives the high byte of each code: the 8 most frequent
 * values of the 7 bits, with both signs. Numbers without a code (outliers: mostly very small numbers and zeros) are
 * listed behind the panel. An entry of the list is added to the number that the panel has in this place.
 *
 *     table   16 bytes, repeated over the width of a row of i32: one vector load
 *     groups  of 8 inputs, { 2 x [width / 4][2][4][2] low bytes; as many codes }: low bytes of inputs 0 .. 3,
 *             then 4 .. 7; within 128 bits four outputs' inputs 0, 1, then their inputs 2, 3. The codes of a
 *             byte of the first are in the low half of the byte at its place, those of the second in the high
 *             half. One lookup turns codes into high bytes; interleaved with the low bytes they are pairs
 *             of bf16, as in panels of bf16.
 *     list    { i32 count; padding to 8; count x { i32 input * width + output; f32 to add } }, room for
 *             one entry in 1024 numbers, and 8 more
 *
 * After Zhang et al. 2025, "70% Size, 100% Accuracy" (DFloat11), which uses Huffman codes for exponents. With a
 * fixed length the place of each number is known. */
#ifndef BTC_FORMATS_COMPRESSED_H
#define BTC_FORMATS_COMPRESSED_H

#include "panel.h"

enum { COMPRESSED_GROUP = 8, COMPRESSED_ENTRY = 8, COMPRESSED_LIST_HEAD = 8 };

extern const PanelLayout compressed_panels;

#endif
