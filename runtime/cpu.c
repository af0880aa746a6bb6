/* Whether the processor has what the model was compiled to. The runtime itself is compiled for the oldest
 * processor of its kind, so it can ask. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif
#include "core.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void read_words(uint64_t *words) {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    enum { OSXSAVE = 27 };
    if (__get_cpuid(1, &a, &b, &c, &d)) words[BTC_CPU_1_ECX] = c;
    if (words[BTC_CPU_1_ECX] >> OSXSAVE & 1) words[BTC_CPU_XCR0] = saved_registers();
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        uint32_t leaves = a;
        words[BTC_CPU_7_EBX] = b, words[BTC_CPU_7_ECX] = c, words[BTC_CPU_7_EDX] = d;
        if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
            words[BTC_CPU_7_1_EAX] = a, words[BTC_CPU_7_1_EDX] = d;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) words[BTC_CPU_EXT_ECX] = c;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static void read_words(uint64_t *words) {
    words[BTC_CPU_HWCAP] = getauxval(AT_HWCAP);
    words[BTC_CPU_HWCAP2] = getauxval(AT_HWCAP2);
}
#elif defined(__riscv)
#include <sys/auxv.h>
#include <unistd.h>

static void read_words(uint64_t *words) {
    enum { HWPROBE = 258, IMA_EXT_0 = 4 }; /* Linux 6.4; older ones refuse the call */
    struct {
        int64_t key;
        uint64_t value;
    } pair = {IMA_EXT_0, 0};
    words[BTC_CPU_HWCAP] = getauxval(AT_HWCAP);
    if (syscall(HWPROBE, &pair, 1, 0, NULL, 0) == 0 && pair.key == IMA_EXT_0)
        words[BTC_CPU_HWPROBE] = pair.value;
}
#endif

const char *btc_cpu_lacks(const btc_artifact *a) {
    uint64_t words[BTC_CPU_WORDS] = {0};
    read_words(words);
    for (int64_t i = 0; i < a->need_count; i++) {
        const btc_need *n = &a->needs[i];
        if ((words[n->word] & n->bits) != n->bits) return n->text;
    }
    return NULL;
}
