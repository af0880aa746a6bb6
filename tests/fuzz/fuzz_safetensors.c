/* libFuzzer target: any bytes as a safetensors file.
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_safetensors tests/fuzz/corpus/safetensors */
#include "container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_container(safetensors_read, data, size);
    return 0;
}
