/* Every thread computes with the same floating-point settings: round to nearest, denormals count as zero, no
 * traps. A state that only decays would end in denormals, which many CPUs compute several times more slowly;
 * and a host built with -ffast-math flushes them in its first thread only, so that without this, results
 * would depend on which thread ran a row. The host's settings are put back after the call.
 *
 * A machine without such a register keeps its denormals: its Target.denormals says so to the tests. */
#ifndef BTC_FLOAT_ENV_H
#define BTC_FLOAT_ENV_H

#include <stdint.h>

static inline uint64_t float_env_enter(void) {
#if defined(__x86_64__)
    enum { ALL_MASKED = 0x1f80, DENORMALS_ARE_ZERO = 0x40, FLUSH_TO_ZERO = 0x8000 };
    uint32_t old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(ALL_MASKED | DENORMALS_ARE_ZERO | FLUSH_TO_ZERO);
    return old;
#elif defined(__aarch64__)
    const uint64_t flush_to_zero = 1u << 24; /* operands and results; f16 in memory stays exact */
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"(flush_to_zero) : "memory");
    return old;
#elif defined(__arm__)
    const uint32_t flush_to_zero = 1u << 24, tail_size = 7u << 16; /* which lanes vectors of MVE have: all */
    uint32_t old;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(old));
    __asm__ volatile("vmsr fpscr, %0" ::"r"(flush_to_zero | (old & tail_size)) : "memory");
    return old;
#elif defined(__riscv)
    uint64_t old; /* rounding and flags; nothing flushes denormals */
    __asm__ volatile("fscsr %0, zero" : "=r"(old)::"memory");
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
#elif defined(__arm__)
    __asm__ volatile("vmsr fpscr, %0" ::"r"((uint32_t)old) : "memory");
#elif defined(__riscv)
    __asm__ volatile("fscsr %0" ::"r"(old) : "memory");
#else
    (void)old;
#endif
}

#endif
