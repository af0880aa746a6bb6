/* Every number of plan/tuning.def alone, at both ends of its range and between, in every storage and
 * arithmetic, on every kind of CPU that is here.      BTC_NUMBER=NAME: one number only */
#include "tuned.h"

int main(void) {
    const char *only = getenv("BTC_NUMBER");
    for (int cpu = 0; cpu < CPU_COUNT; cpu++) {
        Tuning usual;
        if (!have_cpu(cpu) || !CHECK(usual_tuning(CPUS[cpu], &usual))) continue;
        for (int s = 0; s < STORED_COUNT; s++)
            for (int i = 0; i < TUNING_COUNT; i++)
                for (int level = 0; level < LEVELS; level++)
                    for (Part part = 0; part < PARTS; part++) {
                        TunedRun r = {&STORED[s], part, cpu, (uint64_t)(i * LEVELS + level + 1), true, usual};
                        Rng rng = {r.seed};
                        set_level(&r.t, i, level, &rng);
                        if (!only || !strcmp(only, TUNING_FIELDS[i].name)) CHECK(tuning_holds(&r));
                    }
    }
    return check_report("tuned, each number alone");
}
