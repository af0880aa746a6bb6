/* Reading one output out of panels, where a row of a matrix is wanted and not a product with it. */
#ifndef BTC_PANEL_READ_H
#define BTC_PANEL_READ_H

#include "formats/panel.h"
#include "loop.h"

/* The K inputs of output `lane` of the panel at address `panel`, those from lo to hi (i64), as f32 to
 * out[lo .. hi). */
void panel_read(LB *b, const NumberFormat *f, int64_t k, int64_t width, Value *panel, Value *lane, Value *lo,
                Value *hi, Value *out);

#endif
