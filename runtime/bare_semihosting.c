/* A program for a Cortex-M without an operating system: its vectors, where it starts, and Arm's semihosting, by
 * which a debugger or QEMU lends it files. The linker script says where memory lies. */
#include "bare.h"

extern char bare_bss[], bare_bss_end[], bare_heap[], bare_heap_end[], bare_stack[];

static intptr_t semihost(intptr_t operation, const void *block) {
    register intptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};

static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}

static intptr_t open_as(const char *name, intptr_t mode) {
    intptr_t block[] = {(intptr_t)name, mode, (intptr_t)length(name)};
    return semihost(SYS_OPEN, block);
}

intptr_t bare_open(const char *name, bool write) {
    enum { READ_BYTES = 1, WRITE_BYTES = 5 };
    return open_as(name, write ? WRITE_BYTES : READ_BYTES);
}

intptr_t bare_read(intptr_t file, void *p, size_t n) {
    intptr_t block[] = {file, (intptr_t)p, (intptr_t)n};
    return (intptr_t)n - semihost(SYS_READ, block); /* it tells what it has not read */
}

bool bare_write(intptr_t file, const void *p, size_t n) {
    enum { OUT = 4, ERR = 8 }; /* modes of the console's file */
    bool console = file < 0;
    if (console) file = open_as(":tt", file == BARE_OUT ? OUT : ERR);
    intptr_t block[] = {file, (intptr_t)p, (intptr_t)n};
    bool ok = semihost(SYS_WRITE, block) == 0;
    if (console) bare_close(file);
    return ok;
}

bool bare_close(intptr_t file) {
    return semihost(SYS_CLOSE, &file) == 0;
}

void *bare_memory(size_t n) {
    static char *next;
    if (!next) next = bare_heap;
    size_t whole = (n + 63) / 64 * 64;
    if (whole > (size_t)(bare_heap_end - next)) return NULL;
    char *p = next;
    next += whole;
    for (size_t i = 0; i < whole; i++) p[i] = 0;
    return p;
}

/* Words between blanks. */
static int split(char *line, char **argv, int most) {
    int n = 0;
    for (char *p = line; *p && n < most;) {
        while (*p == ' ') *p++ = 0;
        if (*p) argv[n++] = p;
        while (*p && *p != ' ') p++;
    }
    return n;
}

static __attribute__((noreturn)) void leave(intptr_t status) {
    enum { APPLICATION_EXIT = 0x20026 };
    intptr_t block[] = {APPLICATION_EXIT, status};
    for (;;) semihost(SYS_EXIT_EXTENDED, block);
}

static __attribute__((noreturn)) void fault(void) {
    static const char said[] = "the processor stopped at a fault\n";
    bare_write(BARE_ERR, said, sizeof said - 1);
    leave(4);
}

static __attribute__((noreturn)) void reset(void) {
    static char line[4096];
    static char *argv[64];
    volatile uint32_t *coprocessors = (volatile uint32_t *)0xe000ed88;
    *coprocessors |= 0xfu << 20; /* floating point */
    __asm__ volatile("dsb\n isb" ::: "memory");
    for (char *p = bare_bss; p < bare_bss_end; p++) *p = 0;
    intptr_t block[] = {(intptr_t)line, sizeof line};
    leave(semihost(SYS_GET_CMDLINE, block) ? 4 : bare_main(split(line, argv, 64), argv));
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    bare_stack,          (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault};
