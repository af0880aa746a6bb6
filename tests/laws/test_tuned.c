/* Every number of plan/tuning.def, anywhere in its range, gives right results, and the same bits where
 * its row says so. Numbers, storages and CPUs meet by pairs; thorough_tuned.c has every number alone, at both
 * ends and between, in every storage on every CPU.      BTC_TUNED=N: one run only; BTC_SEED=N: others. */
#include "tuned.h"

/* Of three levels, so that two numbers meet in all nine ways over the runs. */
static int level_of(int run, int field) {
    static const int by[][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {1, 1, 0, 0}, {1, 2, 0, 0}, {0, 0, 1, 0},
                                {1, 0, 1, 0}, {0, 1, 1, 0}, {1, 1, 1, 0}, {1, 2, 1, 0}, {2, 0, 1, 0},
                                {0, 2, 1, 0}, {2, 2, 1, 0}, {2, 1, 1, 0}, {0, 0, 0, 1}};
    const int *b = by[field % (int)(sizeof by / sizeof *by)];
    int i = run % 3, j = run / 3 % 3, k = run / 9 % 3, m = (run * 7 + run / 12) % 3;
    return (b[0] * i + b[1] * j + b[2] * k + b[3] * m) % 3;
}

/* Every storage on one CPU, with --thorough on two; each third with the bits of other numbers, too. */
enum { RUNS = 2 * STORED_COUNT };

static void run_part(int run, Part part) {
    int storage = run % STORED_COUNT,
        cpu = (storage + 2 * (run / STORED_COUNT) + storage / 4 + run / RUNS) % CPU_COUNT;
    TunedRun r = {&STORED[storage], part, cpu, (uint64_t)run + 1, run % 3 == 0, {0}};
    if (!have_cpu(cpu)) {
        printf("tuned: skipped %s\n", CPUS[cpu]);
        return;
    }
    Rng rng = {(uint64_t)run};
    for (int i = 0; i < TUNING_COUNT; i++) set_level(&r.t, i, level_of(run, i), &rng);
    if (!CHECK(tuning_holds(&r))) fprintf(stderr, "    run %d\n", run);
}

int main(void) {
    const char *only = getenv("BTC_TUNED"), *seed = getenv("BTC_SEED");
    int first = (seed ? atoi(seed) : 0) * RUNS;
    for (int run = first; run < first + RUNS; run++) {
        if (!only && !check_meets(run % STORED_COUNT + run / STORED_COUNT % 2, 2, 2)) continue;
        if (only && atoi(only) != run) continue;
        run_part(run, PART_PRODUCTS);
        if (run % 3 == 0) run_part(run, PART_OTHERS); /* storage matters little to them */
    }
    return check_report("tuned");
}
