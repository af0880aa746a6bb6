/* Runs of the interpreter with all operands and results perturbed by about a rounding of f32: the differences of the
 * results bound the error of compiled code on the same inputs.
 *
 * This is Monte Carlo arithmetic (Parker 1997, "Monte Carlo Arithmetic", UCLA CSD-970002; its ancestor is
 * CESTAC, Vignes 1993). Why it bounds what compiled code does: the computed result of each of our ops is the
 * exact result for operands that are off by some relative errors (it is backward stable), of g u at most,
 * with u = 2^-24. For sums of n terms in any order g is n in the worst case, and of the order of sqrt(n) with
 * rounding errors as they are, independent and of mean 0 (Higham 2002, "Accuracy and Stability of Numerical
 * Algorithms", 3.1 and 4.2; Higham & Mary 2019, "A New Approach to Probabilistic Rounding Error Analysis",
 * SIAM J. Sci. Comput. 41, A2815). So operands are made wrong at random by g u, and results by g u once more;
 * the op's own conditioning does the rest, cancellation included.
 *
 * Runs come in pairs of opposite sign. Where numbers are rounded to few bits inside (bf16, bytes, states in
 * 16 bits) the smallest error moves one that lies near the middle between two neighbours a whole step. To
 * first order the two runs of a pair are off by the same amount to either side, so one of them takes that
 * step. */
#ifndef BTC_PERTURB_H
#define BTC_PERTURB_H

#include "op.h"

typedef struct Perturb {
    double sign;     /* 1 or -1: of this run of the pair */
    double rounding; /* by how much of a row's largest what products round is off before they do; 0: it is
                        known to the last bit */
    double state;    /* how far off, relatively, a number in a state is; 0 for f32 */
    uint64_t random; /* equal in both runs of a pair, to begin with */
} Perturb;

/* Relative error of what is rounded inside an op: 128 roundings of f32. */
#define PERTURB_INSIDE 0x1p-17

/* x, off by at most `relative` of x; or by just `most`, to either side. */
double perturb_relative(Perturb *p, double x, double relative);
double perturb_absolute(Perturb *p, double x, double most);
/* An angle of which whole turns are taken away before it is rounded: off by a part of a turn at most. */
double perturb_angle(Perturb *p, double angle);
/* A number of a convolution of n numbers by fast Fourier transforms, which is off by as much as all others are:
 * by sqrt(log2 n) of the product of the norms of its operands, given as sums of squares (Higham 2002, 24.1, with
 * rounding errors as they are). */
double perturb_transformed(Perturb *p, double y, int64_t n, double x_squares, double h_squares);
/* g u of the op over so many rows. */
double perturb_size(const Op *op, int64_t rows);
/* Replaces operands by wrong ones; makes results wrong. Not what a product multiplies: it does so itself,
 * when that is rounded. */
void perturb_operands(Perturb *p, Arena *a, const Op *op, int64_t rows, Tensor *in);
void perturb_results(Perturb *p, const Op *op, int64_t rows, Tensor *out);

#endif
