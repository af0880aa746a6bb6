/* The passes, each in the file of its name. */
#ifndef BTC_PASSES_H
#define BTC_PASSES_H

#include "ir.h"

/* ---- expand_math.c: loop level ---- */
/* Rewrites exp, log, log1p, sin, cos, tanh and erf of f32 into arithmetic that every target has. */
void expand_math(Func *loop_func);

#endif
