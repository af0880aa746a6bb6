/* libFuzzer target: any bytes as a GGUF file.
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_gguf tests/fuzz/corpus/gguf */
#include "container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_container(gguf_read, data, size);
    return 0;
}
