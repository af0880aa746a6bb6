/* GGUF files: read, and refused where they are broken. */
#include "../tools/check.h"
#include "gguf_build.h"
#include "weights/weights.h"

static Arena *arena;
static Diag diag;
static WeightSet set;
static GgufBuilder g;
static Buf file;

static void fresh(void) {
    weights_close(&set);
    arena_free(arena);
    arena = arena_new();
    diag = diag_new(arena, NULL);
    set = (WeightSet){.arena = arena, .name = "m"};
}

static bool read_bytes(size_t n) {
    fresh();
    uint8_t *exact = arena_copy(arena, file.p, n); /* so that a read beyond the end is found */
    return gguf_read(&diag, &set, "m.gguf", exact, n);
}

static bool read_file(void) {
    gguf_end(&g, &file);
    return read_bytes(file.n);
}

#define REFUSED(text)                                                                                        \
    do {                                                                                                     \
        CHECK(!read_file());                                                                                 \
        CHECK(diag.errors == 1);                                                                             \
        CHECK_STR_CONTAINS(diag.log.s, text);                                                                \
    } while (0)

static const float numbers[6] = {1, -2, 3, 0.5f, -0.25f, 1e10f};

static void start(unsigned alignment) {
    g = (GgufBuilder){.alignment = alignment};
    if (alignment) put_le(gguf_key(&g, "general.alignment", 4), alignment, 4);
}

static void reads_tensors(void) {
    static const unsigned alignments[] = {0, 64, 1};
    uint8_t blocks[2 * 18] = {0, 0x3c, 0x98};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        start(alignments[i]);
        gguf_text(gguf_key(&g, "general.architecture", 8), "llama");
        Buf *list = gguf_key(&g, "tokens", 9); /* an array of texts, and one of arrays */
        put_le(list, 8, 4), put_le(list, 2, 8), gguf_text(list, "a"), gguf_text(list, "");
        list = gguf_key(&g, "nested", 9);
        put_le(list, 9, 4), put_le(list, 2, 8);
        for (int k = 0; k < 2; k++) put_le(list, 5, 4), put_le(list, 3, 8), put_le(list, 0, 12);
        put_le(gguf_key(&g, "flag", 7), 1, 1);
        gguf_tensor(&g, "w", 0, 2, (int64_t[]){2, 3}, numbers, sizeof numbers);
        gguf_tensor(&g, "q", 2, 3, (int64_t[]){1, 2, 32}, blocks, sizeof blocks);
        gguf_tensor(&g, "later", 16, 1, (int64_t[]){256}, NULL, 0);
        gguf_tensor(&g, "s", 30, 0, NULL, "\x80\x3f", 2);
        if (!CHECK(read_file() && set.n == 4)) continue;
        const RawTensor *w = weights_find(&set, "w"), *q = weights_find(&set, "q");
        CHECK(!strcmp(raw_tensor_type(arena, w), "f32[2,3]") && !memcmp(w->data, numbers, sizeof numbers));
        CHECK(!strcmp(raw_tensor_type(arena, q), "q4_0[1,2,32]") && q->bytes == 36 &&
              raw_tensor_count(q) == 64);
        double x[64];
        raw_tensor_doubles(q, 0, 64, x);
        CHECK(x[0] == 0 && x[1] == -8 && x[16] == 1 && x[17] == -8 && x[32] == 0);
        const RawTensor *s = weights_find(&set, "s"), *later = weights_find(&set, "later");
        CHECK(s->dt == DT_BF16 && s->rank == 0 && dtype_load(s->dt, s->data, 0) == 1);
        CHECK(raw_tensor_readable(&diag, q) && !raw_tensor_readable(&diag, later));
        CHECK_STR_CONTAINS(diag.log.s, "m.gguf: error: later: holds GGUF's type 16, a type that is not read");
    }
}

static void refuses_broken_files(void) {
    start(0);
    g.version = 1;
    REFUSED("m.gguf: error: is GGUF of version 1: versions 2 and 3 are read, little-endian");
    g.version = 3u << 24;
    REFUSED("or big-endian");
    start(48);
    REFUSED("general.alignment must be a power of two");
    start(0);
    put_le(gguf_key(&g, "general.alignment", 10), 32, 8);
    REFUSED("general.alignment must be a power of two");
    start(0);
    put_le(gguf_key(&g, "odd", 13), 0, 8);
    REFUSED("odd is of type 13, which GGUF does not know");
    start(0);
    Buf *b = gguf_key(&g, "deep", 9);
    for (int i = 0; i < 6; i++) put_le(b, 9, 4), put_le(b, 1, 8);
    REFUSED("deep is of type 9");
    start(0);
    b = gguf_key(&g, "long", 9);
    put_le(b, 10, 4), put_le(b, UINT64_MAX / 4, 8);
    REFUSED("ends within long: the file is truncated");
    start(0);
    gguf_tensor(&g, "w", 2, 1, (int64_t[]){33}, numbers, 24);
    REFUSED("m.gguf: error: w: is q4_0 in rows of 33 numbers, which are no whole blocks of 32");
    start(0);
    gguf_tensor(&g, "w", 0, 2, (int64_t[]){INT64_MAX / 4, INT64_MAX / 4}, numbers, 24);
    REFUSED("the product of its shape overflows 64 bits");
    start(0);
    gguf_tensor(&g, "w", 0, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}, numbers, 4);
    REFUSED("has more than 8 dimensions");
    start(0);
    gguf_tensor(&g, "w", 0, 1, (int64_t[]){7}, numbers, 24);
    REFUSED("error: w: f32[7] at byte 0 of the data reaches beyond the file, which has 24 bytes of data");
    start(1);
    gguf_tensor(&g, "v", 0, 1, (int64_t[]){4}, numbers, 12);
    gguf_tensor(&g, "w", 0, 1, (int64_t[]){1}, numbers, 12);
    REFUSED("error: w: its bytes overlap those of \"v\"");
    start(0);
    gguf_tensor(&g, "w", 0, 1, (int64_t[]){1}, numbers, 4);
    g.list.p[g.list.n - 8] = 2;
    REFUSED("error: w: begins at byte 2 of the data, which is no multiple of 32");
    start(0);
    for (int i = 0; i < 2; i++) gguf_tensor(&g, "w", 0, 1, (int64_t[]){1}, numbers, 4);
    REFUSED("the file names this tensor twice");
    start(0);
    gguf_tensor(&g, "a\nb", 0, 1, (int64_t[]){1}, numbers, 4);
    REFUSED("the tensor's name holds a control character");
}

/* Every beginning of a good file is a bad one. */
static void refuses_truncated_files(void) {
    start(0);
    gguf_text(gguf_key(&g, "general.architecture", 8), "llama");
    gguf_tensor(&g, "w", 0, 2, (int64_t[]){2, 3}, numbers, sizeof numbers);
    CHECK(read_file());
    bool refused = true;
    for (size_t n = 0; n < file.n; n++) refused &= !read_bytes(n) && diag.errors == 1;
    CHECK(refused);
}

int main(void) {
    reads_tensors();
    refuses_broken_files();
    refuses_truncated_files();
    return check_report("gguf");
}
