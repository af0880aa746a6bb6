/* A firmware that goes on from a text with the example model: no operating system, no C library, no heap. It stands
 * for any of yours: what it needs of the board is a serial port. Here that is UART 0 of Arm's MPS2 with a
 * Cortex-M4 (AN386), which QEMU emulates; run.sh builds it and runs it there. */
#include "scripture.h"

enum { TOKENS = 24 };
static const char PROMPT[] = "In the beg";

/* All memory of the model. The header knows the sizes; the linker's map shows them. */
static _Alignas(64) unsigned char state[SCRIPTURE_STATE_BYTES];
static _Alignas(64) unsigned char work[SCRIPTURE_WORK_BYTES];
static float logits[SCRIPTURE_OUTPUT_WIDTH];

/* ---- the board ---- */

typedef struct Uart {
    volatile uint32_t data, state, control;
} Uart;
#define UART0 ((Uart *)0x40004000)

static void put(char c) {
    enum { FULL = 1 };
    while (UART0->state & FULL) {
    }
    UART0->data = (uint32_t)c;
}

/* Ends the emulation (Arm semihosting, SYS_EXIT); on a real board: for ever. */
static _Noreturn void end(int failed) {
    enum { SYS_EXIT = 0x18, DONE = 0x20026, FAILED = 0x20023 };
    register int r0 __asm__("r0") = SYS_EXIT, r1 __asm__("r1") = failed ? FAILED : DONE;
    for (;;) __asm__ volatile("bkpt 0xab" : : "r"(r0), "r"(r1) : "memory");
}

/* ---- what the model needs of a C library ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t n) {
    for (size_t i = 0; i < n; i++) ((char *)to)[i] = (char)byte;
    return to;
}

/* ---- the model ---- */

static int32_t likeliest(void) {
    int32_t best = 0;
    for (int32_t i = 1; i < SCRIPTURE_OUTPUT_WIDTH; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static int run(void) {
    const btc_api *api = scripture_btc_query(BTC_ABI_VERSION);
    btc_model model;
    void *states[] = {state};
    if (!scripture_fits(api) || api->open(&model, NULL, 0) != BTC_OK) return 1;
    if (api->init(&model, state) != BTC_OK || api->work_init(&model, work, sizeof work) != BTC_OK) return 1;
    for (const char *c = PROMPT; *c; c++) {
        int32_t id = (unsigned char)*c;
        put(*c);
        if (api->step(&model, states, 1, work, 1, &id, logits) != BTC_OK) return 1;
    }
    for (int i = 0; i < TOKENS; i++) {
        int32_t id = likeliest();
        put((char)id);
        if (api->step(&model, states, 1, work, 1, &id, logits) != BTC_OK) return 1;
    }
    put('\n');
    return 0;
}

/* ---- where the processor begins ---- */

extern char bss_begin[], bss_end[], stack_top[];

static _Noreturn void reset(void) {
    volatile uint32_t *coprocessors = (volatile uint32_t *)0xe000ed88;
    *coprocessors |= 0xfu << 20; /* floating point */
    __asm__ volatile("dsb\n isb" ::: "memory");
    memset(bss_begin, 0, (size_t)(bss_end - bss_begin));
    UART0->control = 1; /* send */
    end(run());
}

static _Noreturn void fault(void) {
    end(1);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault};
