/* Products that split over threads by inputs. In a step, what a thread has made of a product's inputs - its
 * heads of attention, its channels of a scan - it can multiply at once, for all outputs: it makes the sums
 * over its bands of inputs, and who reads them adds those of all bands up. So the threads need not meet
 * between the maker of the inputs and the product, and no weight is read twice.
 *
 * The number of bands is known at compile time, and sums of bands are added in pairs, pairs in pairs, and so
 * on, whoever does it: so results have the same bits for any number of threads. A thread adds up what lies
 * among its own bands; a reader takes the sum of as many bands as one thread had, and adds those. */
#ifndef BTC_BANDS_H
#define BTC_BANDS_H

#include "stage.h"

enum { MOST_BANDS = 16 };

/* Whether `op` may have n bands. */
bool bands_possible(const FuncPlan *p, const Op *op, int64_t n);
/* How many it has in this plan; 0: none. */
int64_t bands_of(const FuncPlan *p, const Op *op);
/* The same of the products that read what `op` rounds for them. */
int64_t bands_behind(const FuncPlan *p, const Op *op);
/* In how many bands products split in some function of the same block as p take the matrix `leaf`; 0: in
 * none. */
int64_t bands_of_leaf(const FuncPlan *p, const Op *leaf);
/* Bytes that each of a few threads reads more than if threads split outputs. */
int64_t bands_bytes(const FuncPlan *p);

/* Adds up the sums of this thread's bands, `count` numbers each (i64; whole vectors), `apart` bytes from band
 * to band: what bands_is_sum says of a band is then the sum over as many as follow it and could be added. */
void bands_join(Lower *l, Value *sums, int64_t apart, Value *count);
Value *bands_is_sum(Lower *l, Value *band);
/* Whether v is made by a stage with bands; if so, the vector at ix: the sum over all of them, and the bias.
 */
bool bands_made(const Lower *l, Value *v);
Value *bands_read(Lower *l, Value *v, const Ix *ix);

#endif
