/* libFuzzer target: any bytes as textual IR. A refusal must have left a message; what is accepted must print,
 * read back and print the same, and the verifier must answer without a crash whatever the ops say.
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_ir_text tests/fuzz/corpus/ir */
#include <stdlib.h>
#include <string.h>

#include "ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    Module *m = ir_parse(&d, a, "fuzz", arena_strndup(a, (const char *)data, size));
    if (!m != (d.errors == 1)) abort();
    if (m) {
        const char *text = ir_print_module(a, m);
        Module *again = ir_parse(&d, a, "printed", text);
        if (!again || strcmp(ir_print_module(a, again), text)) abort();
        bool ok = ir_verify(&d, m);
        if (ok != (d.errors == 0)) abort();
        for (Func *f = again->first; f; f = f->next) ir_infer_func(&d, f);
        ir_print_module(a, again);
    }
    arena_free(a);
    return 0;
}
