/* bf16 in 12 bits, without loss. The exponents of a panel's numbers lie near one another: of 8 bits, all but
 * the last one take few values. So a number becomes its low byte (last bit of the exponent, mantissa) and a
 * code of 4 bits, which stands for the high byte (sign, upper bits of the exponent) in a table of the panel:
 * 8 values of 7 bits, the most frequent ones, with both signs. What no code can say, very small numbers and
 * zeros for the most part, is listed behind the panel: the number to add to what stands in its place.
 *
 *     table   16 bytes, again and again over the width of a row of i32: one vector load
 *     groups  of 8 inputs, { 2 x [width / 4][2][4][2] low bytes; as many codes }: low bytes of inputs 0 .. 3,
 *             then 4 .. 7; within 128 bits four outputs' inputs 0, 1, then their inputs 2, 3. The codes of a
 *             byte of the first are in the low half of the byte at its place, those of the second in the high
 *             half. Codes become high bytes by one lookup; bytes by turns are then pairs of bf16, as panels
 *             of bf16 have them.
 *     list    { i32 count; padding to 8; count x { i32 input * width + output; f32 to add } }, room for
 *             one entry in 1024 numbers, and 8 more
 *
 * After Zhang et al. 2025, "70% Size, 100% Accuracy" (DFloat11), which codes exponents with Huffman's tree; a
 * fixed length needs no search for where the next number begins. */
#ifndef BTC_FORMATS_COMPRESSED_H
#define BTC_FORMATS_COMPRESSED_H

#include "panel.h"

enum { COMPRESSED_GROUP = 8, COMPRESSED_ENTRY = 8, COMPRESSED_LIST_HEAD = 8 };

extern const PanelLayout compressed_panels;

#endif
