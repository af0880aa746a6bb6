/* A thread that has lost its core keeps all others waiting. Beside busy programs this happens most of the time, and
 * two threads can be a hundred times slower than one. As long as waits are short, all threads are used, and the
 * only cost is reading the clock. When waits take a considerable part of the time, a trial compares two widths:
 * some milliseconds with as many threads as before, some with half of them. The width that gave more rows a second
 * is kept for a while; for longer if the narrow one has won several times in a row. So trials that lose take a small
 * part of the time, and all threads are soon used again when the machine is quiet. */
#include "pace.h"

enum { WINDOW_NS = 8000000, CROWDED_NS = 1000000000, FIRST_HOLD = 8, LONGEST_HOLD = 64 };

typedef enum Phase {
    FREE,   /* all that there is, until waiting takes too long */
    WIDE,   /* on trial, as wide as before */
    NARROW, /* on trial, with fewer */
    HELD    /* narrow, until it is time for a trial */
} Phase;

struct btc_pace {
    uint64_t owner;        /* of what this is the pace; whatever else lies here is none */
    int64_t start;         /* of these rows */
    int64_t crowded_until; /* somebody wanted our cores not long ago */
    int64_t until;         /* when the next trial may be (FREE) or is (HELD) */
    int64_t time[2];       /* of the trial: wide, narrow */
    int64_t rows[2];
    int32_t threads; /* that the caller offers */
    int32_t wide, narrow;
    int32_t phase;
    int32_t times;   /* a trial's length that its outcome is held */
    int64_t stalled; /* in the narrow part of the trial */
};
_Static_assert(sizeof(btc_pace) <= BTC_PACE_BYTES, "it fits");

static int32_t width(const btc_pace *p) {
    return p->phase == FREE || p->phase == WIDE ? p->wide : p->narrow;
}

static void begin_trial(btc_pace *p, int32_t wide, int32_t narrow) {
    p->phase = WIDE;
    p->wide = wide, p->narrow = narrow;
    p->time[0] = p->time[1] = p->rows[0] = p->rows[1] = p->stalled = 0;
}

static void hold(btc_pace *p, int32_t threads, int64_t until) {
    p->phase = HELD, p->wide = p->threads, p->narrow = threads, p->until = until;
}

/* The time of a width is over: once more, or twice as wide, as far as there are processors. */
static void look_again(btc_pace *p, int64_t now, int (*processors)(void)) {
    int32_t most = processors();
    if (most > p->threads) most = p->threads;
    if (p->narrow >= most) {
        hold(p, most > 1 ? most : 1, now + CROWDED_NS);
    } else {
        begin_trial(p, 2 * p->narrow < most ? 2 * p->narrow : most, p->narrow);
    }
}

/* Where the block was not cleared, what an older one has left must not pass for knowledge. */
static uint64_t owner_of(const btc_pace *p, uint64_t model, int32_t threads) {
    return ((uintptr_t)p * 0x9e3779b97f4a7c15u ^ model) * 0xff51afd7ed558ccdu + (uint64_t)threads;
}

static bool within(int64_t x, int64_t least, int64_t most) {
    return least <= x && x <= most;
}

/* Numbers that calls can have left here; with others sums could overflow. */
static bool is_sound(const btc_pace *p, int32_t threads) {
    const int64_t most = (int64_t)1 << 48; /* three days in ns */
    bool sound = p->threads == threads && within(p->wide, 1, threads) && within(p->narrow, 1, p->wide) &&
                 within(p->phase, FREE, HELD) && within(p->times, FIRST_HOLD, LONGEST_HOLD) &&
                 within(p->stalled, 0, most);
    for (int k = 0; k < 2; k++) sound = sound && within(p->time[k], 0, most) && within(p->rows[k], 0, most);
    return sound;
}

btc_plan btc_pace_begin(btc_pace *p, uint64_t model, int32_t threads, int64_t now, int (*processors)(void)) {
    uint64_t owner = owner_of(p, model, threads);
    bool anew = p->owner != owner || !is_sound(p, threads);
    if (anew)
        *p =
            (btc_pace){.owner = owner, .threads = threads, .wide = threads, .narrow = 1, .times = FIRST_HOLD};
    p->start = now;
    if (p->phase == HELD && now > p->until) look_again(p, now, processors);
    return (btc_plan){width(p), anew || p->phase == WIDE, now < p->crowded_until};
}

/* Whether waiting took more of the time than it should. */
static bool late(int32_t threads, int64_t stalled, int64_t time) {
    return threads > 1 && stalled / (threads - 1) > time / 8;
}

/* Rows a second of both, by cross-multiplication. */
static bool narrow_is_better(const btc_pace *p) {
    return (double)p->rows[1] * (double)p->time[0] > (double)p->rows[0] * (double)p->time[1];
}

static void decide(btc_pace *p, int64_t now) {
    int64_t length = p->time[0] + p->time[1], time = p->time[1], rows = p->rows[1];
    if (!narrow_is_better(p)) {
        p->times = FIRST_HOLD;
        if (p->wide == p->threads) {
            p->phase = FREE, p->until = now + length * FIRST_HOLD;
        } else {
            hold(p, p->wide, now + length);
        }
    } else if (late(p->narrow, p->stalled, time)) { /* one thread instead? */
        begin_trial(p, p->narrow, 1);
        p->phase = NARROW, p->time[0] = time, p->rows[0] = rows;
    } else {
        hold(p, p->narrow, now + length * p->times);
        if (p->times < LONGEST_HOLD) p->times *= 2;
    }
}

static void add_to_trial(btc_pace *p, const btc_outcome *o, int64_t time, int64_t now) {
    int k = p->phase == NARROW;
    p->time[k] += time, p->rows[k] += o->rows;
    if (k) p->stalled += o->stalled;
    if (p->time[k] < WINDOW_NS) return;
    if (k) {
        decide(p, now);
    } else {
        p->phase = NARROW;
    }
}

void btc_pace_end(btc_pace *p, const btc_outcome *o, int64_t now, int (*processors)(void)) {
    int64_t time = now - p->start;
    if (o->crowded && o->stalled) p->crowded_until = now + CROWDED_NS;
    if (p->phase == FREE && now > p->until && late(p->wide, o->stalled, time)) {
        int32_t most = processors();
        if (p->wide > most) { /* more threads than that are never worth a trial */
            hold(p, most > 1 ? most : 1, now + CROWDED_NS);
        } else {
            begin_trial(p, p->wide, 1);
        }
    }
    if (p->phase == WIDE || p->phase == NARROW) add_to_trial(p, o, time, now);
}
