/* Fuzzes the reader of descriptions: any text gives a module or messages. What it gives must verify, and its
 * text must read back. Seeds: corpus/json. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desc/desc.h"
#include "op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    char *text = arena_strndup(a, (const char *)data, size);
    Module *m = desc_load(&d, a, "fuzz.json", text, size, NULL);
    if (!m != (d.errors > 0)) abort(); /* no module without a message, no message with a module */
    if (m && !ir_verify(&d, m)) abort();
    if (m) {
        char *ir = ir_print_module(a, m);
        Module *again = ir_parse(&d, a, "fuzz.btir", ir);
        if (!again || strcmp(ir_print_module(a, again), ir) != 0) abort();
    }
    arena_free(a);
    return 0;
}
