/* Formats numbers for people: three digits and a unit. */
#ifndef BTC_UNITS_H
#define BTC_UNITS_H

#include "arena.h"

const char *units_count(Arena *a, double x);      /* "12.3 M", in steps of 1000 */
const char *units_bytes(Arena *a, double x);      /* "12.3 MiB", in steps of 1024 */
const char *units_time(Arena *a, double seconds); /* "12.3 ms" */
/* s, or its beginning and ".." when it is longer than width. */
const char *units_clip(Arena *a, const char *s, int width);

#endif
