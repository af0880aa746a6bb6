/* Every thread computes with the same floating-point settings: round to nearest, denormals kept, no traps.
 * A host built with -ffast-math flushes denormals in its first thread only; without this, results would
 * depend on which thread ran a row. The host's settings are put back after the call. */
#ifndef BTC_FLOAT_ENV_H
#define BTC_FLOAT_ENV_H

#include <stdint.h>

static inline uint64_t float_env_enter(void) {
#if defined(__x86_64__)
    uint32_t old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);
    return old;
#elif defined(__aarch64__)
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0) : "memory");
    return old;
#else
    return 0;
#endif
}

static inline void float_env_leave(uint64_t old) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((uint32_t)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"(old) : "memory");
#else
    (void)old;
#endif
}

#endif
