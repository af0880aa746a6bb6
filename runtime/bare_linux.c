/* A program without a C library under Linux: where it starts, and the kernel's calls. */
#include "bare.h"

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, MMAP = 9, EXIT = 60, OPENAT = 257 };
static intptr_t call(intptr_t n, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f) {
    register intptr_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(n)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return n;
}
__asm__(".globl _start\n_start:\n xorl %ebp, %ebp\n movq %rsp, %rdi\n andq $-16, %rsp\n call bare_start\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, MMAP = 222, EXIT = 93, OPENAT = 56 };
static intptr_t call(intptr_t n, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f) {
    register intptr_t x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                         x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl bare_start\n");
#elif defined(__riscv)
enum { READ = 63, WRITE = 64, CLOSE = 57, MMAP = 222, EXIT = 93, OPENAT = 56 };
static intptr_t call(intptr_t n, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f) {
    register intptr_t a7 __asm__("a7") = n, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
                         a3 __asm__("a3") = d, a4 __asm__("a4") = e, a5 __asm__("a5") = f;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return a0;
}
__asm__(".globl _start\n_start:\n mv a0, sp\n andi sp, sp, -16\n call bare_start\n");
#endif

__attribute__((noreturn, used)) void bare_start(intptr_t *stack) {
    int status = bare_main((int)stack[0], (char **)(stack + 1));
    for (;;) call(EXIT, status, 0, 0, 0, 0, 0);
}

intptr_t bare_open(const char *name, bool write) {
    enum { HERE = -100, WRITE_NEW = 01 | 0100 | 01000 };
    intptr_t file = call(OPENAT, HERE, (intptr_t)name, write ? WRITE_NEW : 0, 0666, 0, 0);
    return file < 0 ? -1 : file;
}

intptr_t bare_read(intptr_t file, void *p, size_t n) {
    return call(READ, file, (intptr_t)p, (intptr_t)n, 0, 0, 0);
}

bool bare_write(intptr_t file, const void *p, size_t n) {
    const char *from = p;
    if (file < 0) file = file == BARE_OUT ? 1 : 2;
    for (intptr_t done; n; n -= (size_t)done, from += done)
        if ((done = call(WRITE, file, (intptr_t)from, (intptr_t)n, 0, 0, 0)) <= 0) return false;
    return true;
}

bool bare_close(intptr_t file) {
    return call(CLOSE, file, 0, 0, 0, 0, 0) == 0;
}

void *bare_memory(size_t n) {
    enum { READ_WRITE = 3, PRIVATE_ANONYMOUS = 0x22, HIGHEST_ERROR = 4095 };
    intptr_t p = call(MMAP, 0, (intptr_t)(n ? n : 1), READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
    return p < 0 && p >= -HIGHEST_ERROR ? NULL : (void *)p;
}
