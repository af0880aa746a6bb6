/* Reading single numbers out of panels, where a row of a matrix is wanted and not a product with it. */
#ifndef BTC_PANEL_READ_H
#define BTC_PANEL_READ_H

#include "../loop.h"
#include "panel.h"

/* Number i of the inputs of output `lane` of the panel at address `panel`, as f32. */
Value *panel_read1(LB *b, Storage s, int64_t width, Value *panel, Value *lane, Value *i);

#endif
