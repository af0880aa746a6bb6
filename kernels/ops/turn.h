/* Turning planes of heads by tables of sines and cosines: what rope and scan.rotate share. */
#ifndef BTC_OPS_TURN_H
#define BTC_OPS_TURN_H

#include "kernels/lower.h"

/* A table has one entry per plane (halves), or one per component (pairs), where each angle stands twice. */
typedef struct Turn {
    Lower *l;
    LB *b;
    Op *op; /* turns its first operand, h heads of d components */
    int64_t h, d, planes;
    bool pairs; /* plane i is (2i, 2i+1), else (i, i + partner) */
    int64_t partner;
    Value *co, *si; /* f32 */
    Value *head;    /* pairs: a head with room on both sides */
} Turn;

/* With memory for the tables; partner only without pairs. */
Turn turn_new(Lower *l, Op *op, int64_t planes, bool pairs, int64_t partner);
int64_t turn_entries(const Turn *r); /* of a table */
/* Turns head `head` of a row. */
void turn_head(Turn *r, Value *row, Value *head);

#endif
