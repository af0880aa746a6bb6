/* How the filters h[c,l] of a long convolution lie in the packed weights (PACK_FFT), for the loops of
 * kernels/ops/conv_long.c. All numbers are f32; channels are padded to whole vectors.
 *
 *     taps     [channels/lanes][l][lanes]             for short tiles
 *     twiddles [umax][2]                              re, im of the factor of each node of the tree below
 *     spectra  U = FFT_MIN, 2 FFT_MIN, .. umax:       of taps 0 .. 2U-1, for tiles of U tokens
 *              [channels/lanes][U][2][lanes]          re, im; in the order the transform leaves them
 *
 * The transform is the tree of remainders of a real polynomial modulo z^2U + 1. Its two factors z^U -+ i have
 * conjugate remainders, so one is enough: the U complex numbers x_n + i x_(n+U) (the right-angle convolution
 * of Crandall & Fagin 1994). A node z^n - w^2 splits into z^(n/2) - w and z^(n/2) + w:
 *
 *     x_j, x_(j+n/2)  ->  x_j + w x_(j+n/2),  x_j - w x_(j+n/2)            0 <= j < n/2
 *
 * Node b of the level with m nodes has number m + b and the twiddle w = e^(i angle/2), where the root's angle
 * is pi/2 and the children of a node with angle a have a/2 and a/2 + pi; none of it depends on U. */
#ifndef BTC_LOWER_PACK_FFT_H
#define BTC_LOWER_PACK_FFT_H

#include <stdint.h>

/* Tiles of fewer tokens are computed from the taps: at 128 both ways cost the same. At least 8 (the loops
 * peel three levels of the tree). */
enum { FFT_MIN = 128 };

typedef struct PackFft {
    int64_t channels; /* padded */
    int64_t umax;     /* tokens of the largest tile; 0: no transforms */
    int64_t twiddles; /* byte offsets */
    int64_t spectra;
    int64_t bytes;
} PackFft;
PackFft pack_fft_layout(int64_t c, int64_t l, int lanes);

int64_t pack_fft_bytes(int64_t c, int64_t l, int lanes);
/* h: [c,l]; out: pack_fft_bytes bytes, zeroed. */
void pack_fft_write(const double *h, int64_t c, int64_t l, int lanes, void *out);

#endif
