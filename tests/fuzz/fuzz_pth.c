/* libFuzzer target: any bytes as a PyTorch zip or, unless they begin like a zip, as the pickle inside one, which
 * mutations of whole zips rarely reach.
 *     clang -fsanitize=fuzzer,address,undefined ... && ./fuzz_pth tests/fuzz/corpus/pth */
#include "container.h"

#include "../weights/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ZipBuilder z;
    static const uint8_t storage[24];
    if (size >= 2 && !memcmp(data, "PK", 2)) return read_container(pth_read, data, size), 0;
    if (size > 1 << 15) return 0;
    z.out.n = z.dir.n = z.entries = 0;
    zip_add(&z, "m/data.pkl", data, size);
    zip_add(&z, "m/data/0", storage, sizeof storage);
    zip_end(&z);
    /* In memory of its own size, so that the sanitizer sees a read beyond the end. */
    uint8_t *copy = malloc(z.out.n);
    if (!copy) abort();
    memcpy(copy, z.out.p, z.out.n);
    read_container(pth_read, copy, z.out.n);
    free(copy);
    return 0;
}
