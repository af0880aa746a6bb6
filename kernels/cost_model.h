/* What the kernels of products cost on a machine, and what follows from it: the parameters that should be fastest, and
 * whether an arithmetic or a format gains anything. */
#ifndef BTC_COST_MODEL_H
#define BTC_COST_MODEL_H

#include "kernels.h"

/* A kernel's loop. Multiply-adds are counted in vectors. */
typedef struct KernelCost {
    char name[64];
    LoopCost turn;
    double multiply_adds, numbers; /* of a turn; numbers: of weights */
} KernelCost;
/* false: the machine lacks an instruction of it. */
bool kernel_cost(const LowerTarget *t, KernelSpec s, CostsFrom from, KernelCost *out);
/* Of dequantizing a panel for the chunk's tiles (kernels.h); numbers only. */
bool kernel_dequantize_cost(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math,
                            CostsFrom from, KernelCost *out);

/* The kernel that one sequence's step runs, and that of a chunk. */
KernelSpec kernel_of_step(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math);
KernelSpec kernel_of_chunk(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math);

/* Whether the machine has the instructions of an arithmetic. */
bool cost_model_can(const LowerTarget *t, const Arithmetic *math);
/* Fills t->defaults; the rest of t is there. */
void cost_model_choose(LowerTarget *t);

#endif
