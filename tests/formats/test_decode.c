/* Reference decodes of the block formats that checkpoints hold, bit for bit against what the package `gguf` made
 * of the same blocks (make_golden.py). BTC_GOLDEN: another folder of such files. */
#include <stdlib.h>

#include "../tools/check.h"
#include "base/arena.h"
#include "formats/format.h"

static void check_format(const char *folder, const NumberFormat *f) {
    char path[4096];
    uint32_t head[3];
    snprintf(path, sizeof path, "%s/%s.bin", folder, f->name);
    FILE *file = fopen(path, "rb");
    if (!CHECK(file && fread(head, sizeof head, 1, file) == 1)) return;
    CHECK(head[1] == (uint32_t)f->block && head[2] == f->bytes);
    size_t bytes = (size_t)head[0] * f->bytes, n = (size_t)head[0] * head[1];
    uint8_t *blocks = malloc(bytes);
    float *want = malloc(4 * n), *got = malloc(4 * n);
    CHECK(fread(blocks, 1, bytes, file) == bytes && fread(want, 4, n, file) == n && fgetc(file) == EOF);
    format_decode(f, blocks, 0, (int64_t)n, got);
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) wrong += memcmp(&got[i], &want[i], 4) && (got[i] != 0 || want[i] != 0);
    if (!CHECK(!wrong)) fprintf(stderr, "    %s: %zu of %zu numbers\n", f->name, wrong, n);
    /* from the middle of a block on */
    format_decode(f, blocks, f->block / 2 + 3, f->block, got);
    CHECK(!memcmp(got + 1, want + f->block / 2 + 4, 4 * (size_t)(f->block - 1)));
    free(blocks), free(want), free(got);
    fclose(file);
}

int main(void) {
    const char *folder = getenv("BTC_GOLDEN");
    int n = 0;
    for (const NumberFormat *const *f = FORMATS; *f; f++)
        if ((*f)->bytes) check_format(folder ? folder : "tests/formats/golden", *f), n++;
    CHECK(n == 12);
    return check_report("decode");
}
