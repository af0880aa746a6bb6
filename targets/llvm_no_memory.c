/* LLVM without memory: its operator new throws, which C cannot catch, and its own allocators abort. Both
 * first call whoever has asked to be told, and only C++ can ask; so these are its functions by their linker's
 * names. */
#include "llvm_no_memory.h"

#include "base/arena.h"

void (*set_new_handler(void (*told)(void)))(void) __asm__("_ZSt15set_new_handlerPFvvE");
void remove_handler(void) __asm__("_ZN4llvm30remove_bad_alloc_error_handlerEv");
void install_handler(void (*told)(void *user, const char *reason, bool dump),
                     void *user) __asm__("_ZN4llvm31install_bad_alloc_error_handlerEPFvPvPKcbES0_");

static void told_by_new(void) {
    out_of_memory(0);
}

static void told_by_llvm(void *user, const char *reason, bool dump) {
    (void)user, (void)reason, (void)dump;
    out_of_memory(0);
}

void llvm_no_memory_ends(void) {
    set_new_handler(told_by_new);
    remove_handler(); /* there may be one at a time */
    install_handler(told_by_llvm, NULL);
}
