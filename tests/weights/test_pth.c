/* PyTorch zips: what torch.save writes is read, and whatever else comes ends in one clear message. */
#include "../tools/check.h"
#include "build.h"
#include "weights/weights.h"

static Arena *arena;
static Diag diag;
static WeightSet set;

static void fresh(void) {
    arena_free(arena);
    arena = arena_new();
    diag = diag_new(arena, NULL);
    set = (WeightSet){.arena = arena, .name = "m.pth"};
}

static const uint8_t *floats(size_t n) {
    static float f[64];
    for (size_t i = 0; i < n && i < 64; i++) f[i] = (float)i;
    return (const uint8_t *)f;
}

/* A zip of this pickle and a storage "0" of n floats 0 1 2 ... */
static bool read_zip(ZipBuilder *z, const Buf *pickle, size_t n) {
    fresh();
    zip_add(z, "m/data.pkl", pickle->p, pickle->n);
    zip_add(z, "m/byteorder", "little", 6);
    zip_add(z, "m/data/0", floats(n), n * 4);
    zip_end(z);
    return pth_read(&diag, &set, "m.pth", z->out.p, z->out.n);
}

static bool read_pickle(const Buf *pickle, size_t n) {
    static ZipBuilder z;
    z = (ZipBuilder){0};
    return read_zip(&z, pickle, n);
}

/* The pickle text must be refused with this message, and with one message only. */
#define REFUSED(ok, text)                                                                                    \
    do {                                                                                                     \
        CHECK(!(ok));                                                                                        \
        CHECK(diag.errors == 1);                                                                             \
        CHECK_STR_CONTAINS(diag.log.s, "m.pth: error: ");                                                    \
        CHECK_STR_CONTAINS(diag.log.s, text);                                                                \
    } while (0)

static bool read_raw(const char *pickle, size_t n) {
    static Buf b;
    b.n = 0;
    put(&b, pickle, n);
    return read_pickle(&b, 4);
}
#define RAW(s) read_raw((s), sizeof(s) - 1)

static void begin(Buf *b, const char *name) {
    b->n = 0;
    put_text(b, "\x80\x02}(");
    pk_text(b, name);
}

/* One tensor "w" over 6 floats. */
static bool read_one(const char *type, int64_t elements, int64_t offset, int rank, const int64_t *dim,
                     const int64_t *stride) {
    static Buf b;
    begin(&b, "w");
    pk_tensor(&b, type, "0", elements, offset, rank, dim, stride);
    put_text(&b, "u.");
    return read_pickle(&b, 6);
}

static double element(const char *name, int64_t i) {
    const RawTensor *t = weights_find(&set, name);
    return t && i < raw_tensor_count(t) ? dtype_load(t->dt, t->data, i) : -1;
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static void reads_tensors(void) {
    CHECK(read_one("torch\nFloatStorage", 6, 0, 2, DIMS(2, 3), DIMS(3, 1)));
    CHECK(set.n == 1 && !strcmp(raw_tensor_type(arena, set.tensors), "f32[2,3]"));
    CHECK(element("w", 0) == 0 && element("w", 5) == 5);
    CHECK(read_one("torch\nFloatStorage", 6, 2, 1, DIMS(4), DIMS(1)));
    CHECK(element("w", 0) == 2 && element("w", 3) == 5);
    CHECK(read_one("torch\nDoubleStorage", 3, 0, 1, DIMS(3), DIMS(1)) && set.tensors[0].dt == DT_F64);
    CHECK(read_one("torch\nBFloat16Storage", 12, 0, 1, DIMS(12), DIMS(1)) && set.tensors[0].bytes == 24);
    CHECK(read_one("torch\nLongStorage", 3, 0, 0, NULL, NULL) && raw_tensor_count(set.tensors) == 1);
    CHECK(read_one("torch\nFloatStorage", 6, 6, 2, DIMS(0, 3), DIMS(3, 1)) && set.tensors[0].bytes == 0);
}

static void strided_views_become_contiguous(void) {
    CHECK(read_one("torch\nFloatStorage", 6, 0, 2, DIMS(3, 2), DIMS(1, 3)));
    static const double transposed[] = {0, 3, 1, 4, 2, 5};
    for (int i = 0; i < 6; i++) CHECK(element("w", i) == transposed[i]);
    CHECK(read_one("torch\nFloatStorage", 6, 1, 2, DIMS(2, 2), DIMS(0, 2)));
    CHECK(element("w", 0) == 1 && element("w", 1) == 3 && element("w", 2) == 1 && element("w", 3) == 3);
    /* Beside an axis of length 1 any stride is legal. */
    CHECK(read_one("torch\nFloatStorage", 6, 0, 3, DIMS(3, 1, 2), DIMS(2, INT64_MAX, 1)));
    CHECK(element("w", 5) == 5);
    CHECK(read_one("torch\nFloatStorage", 6, 0, 3, DIMS(2, 1, 3), DIMS(1, INT64_MAX, 2)));
    CHECK(element("w", 0) == 0 && element("w", 1) == 2 && element("w", 5) == 5);
}

/* What cannot be read is only refused where somebody wants its numbers. */
static void other_types_are_kept_by_name(void) {
    CHECK(read_one("torch\nComplexFloatStorage", 3, 0, 1, DIMS(3), DIMS(1)));
    const RawTensor *t = weights_find(&set, "w");
    if (!CHECK(t && t->dt == DT_COUNT && raw_tensor_count(t) == 3)) return;
    CHECK(!strcmp(raw_tensor_type(arena, t), "torch.ComplexFloatStorage[3]"));
    CHECK(!raw_tensor_readable(&diag, t));
    CHECK_STR_CONTAINS(diag.log.s, "w: holds torch.ComplexFloatStorage, a type that is not read");
}

static void lying_views_are_refused(void) {
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 2, DIMS(2, 4), DIMS(4, 1)),
            "w: f32[2,4] at offset 0 reaches beyond its storage of 6 elements");
    REFUSED(read_one("torch\nFloatStorage", 6, 6, 1, DIMS(1), DIMS(1)), "at offset 6 reaches beyond");
    REFUSED(read_one("torch\nFloatStorage", 6, 7, 1, DIMS(0), DIMS(1)), "at offset 7 reaches beyond");
    REFUSED(read_one("torch\nFloatStorage", 6, -1, 1, DIMS(1), DIMS(1)), "offset must be a non-negative");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 1, DIMS(-2), DIMS(1)),
            "shape must be a tuple of non-negative");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 1, DIMS(2), DIMS(-1)), "strides must be 1 non-negative");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 2, DIMS(3, 3), DIMS(INT64_MAX, 1)), "reaches beyond");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 2, DIMS(1ll << 40, 1ll << 40), DIMS(0, 0)), "overflows");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 1, DIMS(1ll << 40), DIMS(0)), "much smaller storage");
    REFUSED(read_one("torch\nFloatStorage", 6, 0, 9, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1),
                     DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1)),
            "w: has more than 8 axes");
    REFUSED(read_one("torch\nFloatStorage", 7, 0, 1, DIMS(6), DIMS(1)),
            "w: its storage m/data/0 should have 7 elements of 4 bytes, but has 24 bytes");
    REFUSED(read_one("torch\nFloatStorage", INT64_MAX, 0, 1, DIMS(6), DIMS(1)),
            "should have 9223372036854775807");
    REFUSED(read_one("os\nsystem", 3, 0, 1, DIMS(3), DIMS(1)), "holds code (os.system)");
    static Buf b;
    begin(&b, "w");
    pk_tensor(&b, "torch\nFloatStorage", "17", 6, 0, 1, DIMS(6), DIMS(1));
    put_text(&b, "u.");
    REFUSED(read_pickle(&b, 6), "w: its storage m/data/17 is not in the file");
}

/* _rebuild_tensor_v3 has the dtype last, over untyped storages. */
static bool read_v3(const char *dtype) {
    static Buf b;
    begin(&b, "w");
    put_text(&b, "ctorch._utils\n_rebuild_tensor_v3\n(");
    pk_storage(&b, "torch.storage\nUntypedStorage", "0", 24);
    pk_int(&b, 0), pk_ints(&b, DIMS(6), 1), pk_ints(&b, DIMS(1), 1);
    put_text(&b, "\x89"
                 "ccollections\nOrderedDict\n)Rctorch\n");
    put_text(&b, dtype), put_text(&b, "\nNtRu.");
    return read_pickle(&b, 6);
}

static void untyped_storages(void) {
    CHECK(read_v3("float32") && element("w", 5) == 5);
    CHECK(read_v3("float8_e4m3fn") && weights_find(&set, "w")->dt == DT_COUNT);
    REFUSED(read_v3("float64"), "reaches beyond its storage of 3 elements");
}

static void code_is_never_run(void) {
    REFUSED(RAW("\x80\x02"
                "cos\nsystem\nX\x02\0\0\0ls\x85R."),
            "m.pth: error: holds code (os.system): btc reads tensors only and never runs a pickle");
    REFUSED(RAW("\x80\x04\x8c\x05posix\x8c\x06system\x93."), "holds code (posix.system)");
    REFUSED(RAW("\x80\x02"
                "c__builtin__\neval\n."),
            "holds code (__builtin__.eval)");
    REFUSED(RAW("\x80\x02"
                "ccollections\nOrderedDict.update\n."),
            "holds code (collections.OrderedDict.update)");
    REFUSED(RAW("\x80\x02"
                "co\x1b[31ms\nx\n."),
            "holds code (o?[31ms.x)");
    REFUSED(RAW("\x80\x02(ios\nsystem\n."), "opcode 0x69 is not one that a state dict uses");
    REFUSED(RAW("\x80\x02"
                "ctorch\nFloatStorage\n)\x81."),
            "opcode 0x81");
    REFUSED(RAW("\x80\x02"
                "ctorch\nFloatStorage\n)R."),
            "calls torch.FloatStorage");
    REFUSED(RAW("\x80\x02})R."), "calls something that is not a function");
    REFUSED(RAW("\x80\x02"
                "N}b."),
            "sets attributes of something that is not a dict");
}

static void broken_pickles_are_refused(void) {
    REFUSED(RAW(""), "the pickle is truncated (byte 0)");
    REFUSED(RAW("\x80\x02}"), "the pickle is truncated (byte 3)");
    REFUSED(RAW("\x80\x02X\xff\0\0\0w."), "truncated");
    REFUSED(RAW("\x80\x02"
                "ctorch"),
            "truncated");
    REFUSED(RAW("\x80\x09}."), "protocol is newer than 5");
    REFUSED(RAW("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}."), "truncated");
    REFUSED(RAW("."), "ends with values left over");
    REFUSED(RAW("}}."), "ends with values left over");
    REFUSED(RAW("}(."), "ends with values left over");
    REFUSED(RAW("(u."), "takes more from its stack than is there"); /* on a stack never used */
    REFUSED(RAW("t."), "goes back to a mark that it never set");
    REFUSED(RAW("\x86."), "takes more from its stack than is there");
    REFUSED(RAW("}}(\x85."), "takes more from its stack than is there");
    REFUSED(RAW("}(Nu."), "dict key without a value");
    REFUSED(RAW("](NNu."), "sets an item of something that is not a dict");
    REFUSED(RAW("}Na."), "appends to something that is not a list");
    REFUSED(RAW("}h\x05."), "reads a memo that it never wrote");
    REFUSED(RAW("}r\xff\xff\xff\xff."), "memo number is larger than the pickle");
    REFUSED(RAW("NQ."), "refers to a storage in a form");
    REFUSED(RAW("ctorch._utils\n_rebuild_tensor_v2\n(NNtR."), "fewer than 4 arguments");
    REFUSED(RAW("ctorch._utils\n_rebuild_parameter\n(NtR."), "a parameter is built from no tensor");
    REFUSED(RAW("}(X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(NNNNtRu."),
            "w: is a tensor without a storage");
    REFUSED(RAW("]."), "not a dict from names to tensors");
    REFUSED(RAW("}."), "holds no tensors");
    REFUSED(RAW("}q\0(X\1\0\0\0ah\0X\1\0\0\0bh\0u."), "a: the same dict is stored in two places");
    REFUSED(RAW("ccollections\nOrderedDict\n](NeR."), "calls something that is not a function");
    REFUSED(RAW("ccollections\nOrderedDict\n](Ne\x85R."), "list of pairs");
}

static void put_w(Buf *b) {
    pk_tensor(b, "torch\nFloatStorage", "0", 6, 0, 1, DIMS(6), DIMS(1));
}

static void dicts_nest(void) {
    static Buf b;
    begin(&b, "epoch"); /* {"epoch": 3, "anything": {"w": tensor}}: the weights are one level down */
    pk_int(&b, 3), pk_text(&b, "anything"), put_text(&b, "}(");
    pk_text(&b, "w"), put_w(&b), put_text(&b, "uu.");
    CHECK(read_pickle(&b, 6) && weights_find(&set, "w"));
    begin(&b, "model"); /* the optimizer's tensors stay out */
    put_text(&b, "}("), pk_text(&b, "w"), put_w(&b), put_text(&b, "u"), pk_text(&b, "optimizer"),
        put_text(&b, "}(");
    pk_int(&b, 0), put_w(&b), put_text(&b, "uu.");
    CHECK(read_pickle(&b, 6) && set.n == 1 && weights_find(&set, "w"));
    begin(&b, "enc");
    put_text(&b, "}("), pk_text(&b, "w"), put_w(&b), put_text(&b, "u"), pk_text(&b, "dec"),
        put_text(&b, "}(");
    pk_int(&b, 7), put_w(&b), put_text(&b, "uu.");
    CHECK(read_pickle(&b, 6) && set.n == 2 && weights_find(&set, "enc.w") && weights_find(&set, "dec.7"));
    begin(&b, "a"); /* one dict under two names, beside a tensor */
    put_w(&b), pk_text(&b, "b"), put_text(&b, "}q\1("), pk_text(&b, "w"), put_w(&b), put_text(&b, "u");
    pk_text(&b, "c"), put_text(&b, "h\1u.");
    REFUSED(read_pickle(&b, 6), "c: the same dict is stored in two places");
    begin(&b, "w");
    put_w(&b), pk_text(&b, "w"), put_w(&b), put_text(&b, "u.");
    REFUSED(read_pickle(&b, 6), "w: the file names this tensor twice");
    begin(&b, "a\nb");
    put_w(&b), put_text(&b, "u.");
    REFUSED(read_pickle(&b, 6), "a?b: the tensor's name holds a control character");
    b.n = 0;
    put_text(&b, "}(N"), put_w(&b), put_text(&b, "u.");
    REFUSED(read_pickle(&b, 6), "key is neither text nor an integer");
    b.n = 0;
    for (int i = 0; i < 20; i++) put(&b, "}X\1\0\0\0x", 7);
    put_w(&b);
    for (int i = 0; i < 20; i++) put_text(&b, "s");
    put_text(&b, ".");
    REFUSED(read_pickle(&b, 6), "nested too deeply");
}

/* OrderedDict with _metadata, a parameter, memo and framing of protocol 4. */
static void ordered_dicts_and_parameters(void) {
    static Buf b;
    b.n = 0;
    put(&b, "\x80\x04\x95\0\0\0\0\0\0\0\0", 11);
    put_text(&b, "\x8c\x0b"
                 "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(");
    put_text(&b, "\x8c\x01w\x94"), put_text(&b, "ctorch._utils\n_rebuild_parameter\n(");
    put_w(&b), put_text(&b, "\x88h\2)RtRu");
    put_text(&b, "}\x8c\x09_metadatah\2)Rsb.");
    CHECK(read_pickle(&b, 6) && set.n == 1 && element("w", 5) == 5);
    b.n = 0; /* OrderedDict([["w", tensor]]) */
    put_text(&b, "ccollections\nOrderedDict\n](]("), pk_text(&b, "w"), put_w(&b), put_text(&b, "ee\x85R.");
    CHECK(read_pickle(&b, 6) && set.n == 1 && element("w", 5) == 5);
    b.n = 0; /* two names for one storage */
    put_text(&b, "}("), pk_text(&b, "a"), put_w(&b), pk_text(&b, "b"), put_w(&b), put_text(&b, "u.");
    CHECK(read_pickle(&b, 6) && set.n == 2 && set.tensors[0].data == set.tensors[1].data);
}

static Buf *simple(void) {
    static Buf b;
    begin(&b, "w");
    put_w(&b), put_text(&b, "u.");
    return &b;
}

static void zips(void) {
    static ZipBuilder z;
    z = (ZipBuilder){.zip64 = true};
    CHECK(read_zip(&z, simple(), 6) && element("w", 5) == 5);
    for (size_t n = 0; n < z.out.n; n++) { /* cut anywhere: one error, never a crash */
        fresh();
        CHECK(!pth_read(&diag, &set, "m.pth", z.out.p, n) && diag.errors == 1);
    }
    z = (ZipBuilder){.method = 8};
    REFUSED(read_zip(&z, simple(), 6),
            "deflated, but btc reads stored entries only: load the file in PyTorch and save");
    z = (ZipBuilder){.flags = 1};
    REFUSED(read_zip(&z, simple(), 6), "m/byteorder: the zip entry is encrypted");
    z = (ZipBuilder){.lie = 100000};
    REFUSED(read_zip(&z, simple(), 6), "reach beyond the file: it is truncated or damaged");
    z = (ZipBuilder){.zip64 = true, .lie = UINT64_MAX / 2};
    REFUSED(read_zip(&z, simple(), 6), "reach beyond the file");
    z = (ZipBuilder){.lie_at = 5};
    REFUSED(read_zip(&z, simple(), 6), "header is not where the directory says");
    z = (ZipBuilder){.zip64 = true, .lie_at = UINT64_MAX - 40};
    REFUSED(read_zip(&z, simple(), 6), "header is not where the directory says");
    z = (ZipBuilder){0};
    zip_add(&z, "m/data/0", "", 0);
    REFUSED(read_zip(&z, simple(), 6), "m/data/0: the zip has two entries of this name");
    z = (ZipBuilder){0};
    zip_add(&z, "n/data.pkl", "", 0);
    REFUSED(read_zip(&z, simple(), 6), "more than one data.pkl");
    z = (ZipBuilder){.entries = 1};
    zip_add(&z, "m/an entry whose name makes the directory large enough for one more", "", 0);
    REFUSED(read_zip(&z, simple(), 6), "ends before its last entry");
    z = (ZipBuilder){.entries = 999};
    REFUSED(read_zip(&z, simple(), 6), "too small for its number of entries");
}

static bool read_bytes(ZipBuilder *z) {
    fresh();
    zip_end(z);
    return pth_read(&diag, &set, "m.pth", z->out.p, z->out.n);
}

static void other_containers(void) {
    static ZipBuilder z;
    z = (ZipBuilder){0};
    REFUSED(read_bytes(&z), "the zip has no entries");
    z = (ZipBuilder){0};
    zip_add(&z, "readme.txt", "hello", 5);
    REFUSED(read_bytes(&z), "no <name>/data.pkl: it was not saved by torch.save");
    z = (ZipBuilder){0};
    zip_add(&z, "m/data.pkl", simple()->p, simple()->n), zip_add(&z, "m/byteorder", "big", 3);
    REFUSED(read_bytes(&z), "byte order is \"big\"; only \"little\" is supported");
    fresh();
    REFUSED(pth_read(&diag, &set, "m.pth", (const uint8_t *)"\x80\x02}.", 4),
            "is a pickle, but none of torch.save");
    fresh();
    REFUSED(pth_read(&diag, &set, "m.pth", (const uint8_t *)"", 0), "no zip directory at its end");
}

/* ---- pickles in a row, as PyTorch wrote before 1.6 ---- */

#define MARK "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define VERSION "\x80\x02M\xe9\x03."
#define MACHINE "\x80\x02}(X\x0d\0\0\0little_endian\x88u."

/* Two tensors that share the storage "7", and one of "8". */
static void put_dict(Buf *b) {
    put(b, "\x80\x02}(", 4);
    pk_text(b, "a"), pk_tensor(b, "torch\nFloatStorage", "7", 4, 0, 1, DIMS(4), DIMS(1));
    pk_text(b, "b"), pk_tensor(b, "torch\nFloatStorage", "7", 4, 1, 1, DIMS(2), DIMS(2));
    pk_text(b, "c"), pk_tensor(b, "torch\nLongStorage", "8", 1, 0, 1, DIMS(1), DIMS(1));
    put_text(b, "u.");
}

static bool read_row(const char *mark, size_t mark_n, const char *version, size_t version_n,
                     const char *machine, size_t machine_n, const char *keys, size_t cut) {
    static Buf b;
    b.n = 0;
    put(&b, mark, mark_n), put(&b, version, version_n), put(&b, machine, machine_n);
    put_dict(&b);
    put(&b, "\x80\x02](", 4);
    for (; *keys; keys++) pk_text(&b, (char[]){*keys, 0});
    put_text(&b, "e.");
    put_le(&b, 4, 8), put(&b, floats(4), 16);
    put_le(&b, 1, 8), put_le(&b, 77, 8);
    fresh();
    return pth_read(&diag, &set, "m.pth", b.p, b.n - cut);
}
#define ROW(mark, version, machine, keys, cut)                                                               \
    read_row(mark, sizeof(mark) - 1, version, sizeof(version) - 1, machine, sizeof(machine) - 1, keys, cut)

static void rows_of_pickles(void) {
    CHECK(ROW(MARK, VERSION, MACHINE, "78", 0) && set.n == 3);
    CHECK(element("a", 0) == 0 && element("a", 3) == 3 && element("b", 0) == 1 && element("b", 1) == 3);
    CHECK(element("c", 0) == 77);
    REFUSED(ROW("\x80\x02}.", VERSION, MACHINE, "78", 0), "is a pickle, but none of torch.save");
    REFUSED(ROW(MARK, "\x80\x02M\xe8\x03.", MACHINE, "78", 0), "its version of torch.save is not 1001");
    REFUSED(ROW(MARK, VERSION, "\x80\x02}.", "78", 0), "its byte order is not said to be little-endian");
    REFUSED(ROW(MARK, VERSION, MACHINE, "7", 0), "its storage 8 is not in the file");
    REFUSED(ROW(MARK, VERSION, MACHINE, "77", 0), "the list of its storages is not that of its tensors");
    REFUSED(ROW(MARK, VERSION, MACHINE, "79", 0), "the list of its storages is not that of its tensors");
    REFUSED(ROW(MARK, VERSION, MACHINE, "87", 0), "ends within its storages: the file is truncated");
    REFUSED(ROW(MARK, VERSION, MACHINE, "78", 1), "ends within its storages: the file is truncated");
    REFUSED(ROW(MARK, VERSION, MACHINE, "78", 9), "ends within its storages: the file is truncated");
}

int main(void) {
    reads_tensors();
    strided_views_become_contiguous();
    other_types_are_kept_by_name();
    lying_views_are_refused();
    untyped_storages();
    code_is_never_run();
    broken_pickles_are_refused();
    dicts_nest();
    ordered_dicts_and_parameters();
    zips();
    other_containers();
    rows_of_pickles();
    arena_free(arena);
    return check_report("pth");
}
