/* Weight sets: safetensors read, written and refused; folders, indexes and shards; published checkpoints.
 * argv[1]: the folder of conformance cases (default tests/conformance); without it that part is skipped. */
#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/check.h"
#include "build.h"
#include "weights/container.h"

static Arena *arena;
static Diag diag;
static WeightSet set;
static char folder[] = "/tmp/test_weights.XXXXXX";

static void fresh(void) {
    weights_close(&set);
    arena_free(arena);
    arena = arena_new();
    diag = diag_new(arena, NULL);
    set = (WeightSet){.arena = arena, .name = "m"};
}

static bool read_json(const char *json, size_t data) {
    static Buf b;
    build_safetensors(&b, json, data);
    fresh();
    return safetensors_read(&diag, &set, "m.safetensors", b.p, b.n);
}

#define REFUSED(ok, text)                                                                                    \
    do {                                                                                                     \
        CHECK(!(ok));                                                                                        \
        CHECK(diag.errors == 1);                                                                             \
        CHECK_STR_CONTAINS(diag.log.s, text);                                                                \
    } while (0)

/* One tensor "w" described so, over 16 bytes of data. */
static bool read_entry(const char *entry) {
    static char json[1000];
    snprintf(json, sizeof json, "{\"w\":%s}", entry);
    return read_json(json, 16);
}

/* ---- safetensors ---- */

static void reads_tensors(void) {
    CHECK(read_json(
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":"
        "[2,10]},\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"e\":{\"dtype\":\"I64\","
        "\"shape\":[0,4],\"data_offsets\":[2,2]},\"s\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":"
        "[10,12]}}    ",
        12));
    CHECK(set.n == 4 && diag.errors == 0);
    CHECK(!strcmp(set.tensors[0].name, "a") && !strcmp(set.tensors[3].name, "s"));
    const RawTensor *b = weights_find(&set, "b"), *s = weights_find(&set, "s"), *e = weights_find(&set, "e");
    CHECK(b && !strcmp(raw_tensor_type(arena, b), "f32[2,1]") && b->bytes == 8 && b->data[0] == 2);
    CHECK(s && s->rank == 0 && raw_tensor_count(s) == 1);
    CHECK(e && raw_tensor_count(e) == 0 && e->bytes == 0);
    CHECK(!weights_find(&set, "c") && !weights_find(&set, ""));
    CHECK(read_json("{}", 0) && set.n == 0 && !weights_find(&set, "a"));
}

/* What cannot be read is only refused where somebody wants its numbers. */
static void other_types_are_kept_by_name(void) {
    static const char *const types[] = {"F8_E4M3", "F8_E5M2", "C64", "U16", "U32", "U64", "F4", "what?"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        CHECK(read_entry(
            arena_printf(arena, "{\"dtype\":\"%s\",\"shape\":[4,2],\"data_offsets\":[0,16]}", types[i])));
        const RawTensor *t = weights_find(&set, "w");
        if (!CHECK(t && t->dt == DT_COUNT && t->bytes == 16 && raw_tensor_count(t) == 8)) continue;
        CHECK(!strcmp(raw_tensor_type(arena, t), arena_printf(arena, "%s[4,2]", types[i])));
        CHECK(isnan(dtype_load(t->dt, t->data, 7)) && !raw_tensor_readable(&diag, t));
        CHECK_STR_CONTAINS(diag.log.s, arena_printf(arena, "w: holds %s, a type that is not read", types[i]));
    }
}

static void spelling_of_a_type_is_told(void) {
    CHECK(read_entry("{\"dtype\":\"f32\",\"shape\":[4,2],\"data_offsets\":[0,16]}"));
    const RawTensor *t = weights_find(&set, "w");
    CHECK(t && !raw_tensor_readable(&diag, t));
    CHECK_STR_CONTAINS(diag.log.s,
                       "w: holds \"f32\", which the format writes \"F32\", a type that is not read");
}

static void lying_headers_are_refused(void) {
    static Buf b;
    fresh();
    REFUSED(safetensors_read(&diag, &set, "m", (const uint8_t *)"1234567", 7),
            "m: error: is not a safetensors file");
    build_safetensors(&b, "{}", 0);
    b.p[0] = 3;
    fresh();
    REFUSED(safetensors_read(&diag, &set, "m", b.p, b.n), "should have 3 bytes, but only 2 follow");
    memset(b.p, 0xff, 8);
    fresh();
    REFUSED(safetensors_read(&diag, &set, "m", b.p, b.n),
            "should have 18446744073709551615 bytes, but only 2");
    size_t large = (100u << 20) + 9;
    uint8_t *big = calloc(large, 1);
    big[0] = 0x01, big[2] = 0x40, big[3] = 0x06, big[8] = 0x7b; /* 100 MiB and 1 byte */
    fresh();
    REFUSED(safetensors_read(&diag, &set, "m", big, large), "the header is larger than 100 MiB");
    free(big);
    REFUSED(read_json("", 0), "the header is not a JSON object");
    REFUSED(read_json("[]", 0), "the header is not a JSON object");
    REFUSED(read_json(" {}", 0), "the header is not a JSON object");
    REFUSED(read_json("{\"w\":", 0), "the header is not valid JSON");
    REFUSED(read_json("{} x", 0), "the header is not valid JSON: there is text behind it");
    REFUSED(read_json("{\"a\\u0000b\":{}}", 0), "holds the character \\u0000");
    static char deep[5000];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"w\":", 5);
    REFUSED(read_json(deep, 0), "nested more than 64 deep");
    REFUSED(read_json("{\"__metadata__\":{\"a\":\"b\"},\"__metadata__\":{}}", 0),
            "the key \"__metadata__\" is given twice");
    REFUSED(read_json("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0), "the key \"a\" is given twice");
    REFUSED(read_json("{\"x\\u001by\":{},\"x\\u001by\":{}}", 0), "the key \"x?y\" is given twice");
}

static void lying_entries_are_refused(void) {
    REFUSED(read_entry("3"), "m.safetensors: error: w: must be an object with");
    REFUSED(read_entry("{}"), "w: needs a \"dtype\"");
    REFUSED(read_entry("{\"dtype\":3}"), "w: needs a \"dtype\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"dtype\":\"F32\"}"), "w: the key \"dtype\" is given twice");
    REFUSED(read_entry("{\"dtype\":\"F32\"}"), "w: needs a \"shape\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":{}}"), "w: needs a \"shape\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[2,-1]}"), "w: shape[1] must be a non-negative integer");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[1.5]}"), "shape[0] must be a non-negative integer");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[1e300]}"), "shape[0] must be a non-negative integer");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[\"4\"]}"), "shape[0] must be a non-negative integer");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1]}"), "w: has more than 8 axes");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}"),
            "product of its shape overflows");
    REFUSED(read_entry("{\"dtype\":\"F64\",\"shape\":[2147483648,1073741824]}"),
            "product of its shape overflows");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4]}"), "w: needs \"data_offsets\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}"), "needs \"data_offsets\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}"),
            "needs \"data_offsets\"");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}"),
            "[16, 0] end before they begin");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,17]}"),
            "w: data_offsets [0, 17] reach beyond the data, which has 16 bytes: the file is truncated");
    REFUSED(read_entry("{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]}"),
            "w: f32[3] needs 12 bytes, but data_offsets [0, 16] give 16");
    REFUSED(read_json("{\"\":{}}", 0), "a tensor has an empty name");
    REFUSED(read_json("{\"a\\nb\":{}}", 0), "a?b: the tensor's name holds a control character");
}

/* Two tensors of bytes, "a" and `second`, over 8 bytes of data. */
static bool read_two(int a0, int a1, const char *second, int b0, int b1) {
    static char json[400];
    snprintf(json, sizeof json,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
             "\"%s\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
             a1 - a0, a0, a1, second, b1 - b0, b0, b1);
    return read_json(json, 8);
}

static void tensors_must_tile_the_data(void) {
    CHECK(read_two(0, 3, "b", 3, 8));
    CHECK(read_two(3, 8, "b", 0, 3));
    REFUSED(read_two(0, 4, "b", 3, 8), "b: its bytes [3, 8] overlap those of \"a\", which end at 4");
    REFUSED(read_two(0, 8, "b", 0, 8), "overlap");
    REFUSED(read_two(0, 8, "b", 4, 4), "b: its bytes [4, 4] overlap");
    REFUSED(read_two(0, 3, "b", 4, 8), "b: begins at byte 4, but the tensor before it ends at 3");
    REFUSED(read_two(1, 3, "b", 3, 8), "a: begins at byte 1");
    REFUSED(read_two(0, 3, "b", 3, 7),
            "the last tensor ends at byte 7 of the data, but the data has 8 bytes");
    REFUSED(read_two(0, 4, "a", 4, 8), "the key \"a\" is given twice");
    REFUSED(read_two(0, 8, "a", 0, 8), "the key \"a\" is given twice");
}

/* ---- files ---- */

static const char *in_folder(const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *data, size_t n) {
    FILE *f = fopen(in_folder(name), "wb");
    if (!f) abort();
    if (n) fwrite(data, 1, n, f);
    fclose(f);
}

static void write_text(const char *name, const char *s) {
    write_file(name, s, strlen(s));
}

static void write_tensor(const char *file, const char *tensor) {
    static const uint8_t bytes[] = {1, 2, 3};
    RawTensor t = {.name = tensor, .dt = DT_I8, .rank = 1, .dim = {3}, .data = bytes, .bytes = 3};
    CHECK(safetensors_write(&diag, arena, in_folder(file), &t, 1));
}

static void empty_folder(void) {
    DIR *dir = opendir(folder);
    if (!dir) abort();
    fresh();
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') unlink(in_folder(e->d_name));
    closedir(dir);
}

static bool open_path(const char *name) {
    char *copy = strdup(in_folder(name)); /* outlives the arena that fresh() drops */
    fresh();
    bool ok = weights_open(&diag, arena, copy, &set);
    free(copy);
    return ok;
}

static void writer_round_trips(void) {
    empty_folder();
    static const uint8_t bytes[64] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
    RawTensor t[] = {
        {.name = "z \"quoted\" \\ \xc3\xa4",
         .dt = DT_BF16,
         .rank = 2,
         .dim = {3, 2},
         .data = bytes,
         .bytes = 12},
        {.name = "a", .dt = DT_F64, .rank = 8, .dim = {1, 1, 2, 1, 1, 1, 1, 2}, .data = bytes, .bytes = 32},
        {.name = "none", .dt = DT_I32, .rank = 2, .dim = {0, 5}, .data = bytes, .bytes = 0},
        {.name = "scalar", .dt = DT_BOOL, .rank = 0, .data = bytes + 3, .bytes = 1},
    };
    CHECK(safetensors_write(&diag, arena, in_folder("x.safetensors"), t, 4));
    CHECK(open_path("x.safetensors") && set.n == 4);
    for (int i = 0; i < 4; i++) {
        const RawTensor *r = weights_find(&set, t[i].name);
        CHECK(r && r->dt == t[i].dt && r->rank == t[i].rank && r->bytes == t[i].bytes);
        CHECK(r && !memcmp(r->dim, t[i].dim, sizeof r->dim) && !memcmp(r->data, t[i].data, t[i].bytes));
    }
    const RawTensor *first = weights_find(&set, t[0].name);
    CHECK(first && (size_t)(first->data - set.maps[0].data) % 64 == 0);
    t[1].name = t[3].name;
    CHECK(!safetensors_write(&diag, arena, in_folder("y.safetensors"), t, 4) &&
          !file_exists(in_folder("y.safetensors")));
    CHECK_STR_CONTAINS(diag.log.s, "scalar: cannot write two tensors of this name");
    CHECK(safetensors_write(&diag, arena, in_folder("none.safetensors"), NULL, 0));
    CHECK(open_path("none.safetensors") && set.n == 0);
    fresh();
    CHECK(!safetensors_write(&diag, arena, in_folder("no/such/folder.safetensors"), NULL, 0));
    CHECK_STR_CONTAINS(diag.log.s, "cannot write");
}

static void paths(void) {
    empty_folder();
    REFUSED(open_path("model.safetensor"), "no such file or folder");
    write_tensor("model.safetensors", "w");
    REFUSED(open_path("model.safetensor"), "no such file or folder (did you mean \"model.safetensors\"?)");
    write_text("x.safetensors", "");
    REFUSED(open_path("x.safetensors"), "x.safetensors: error: is empty");
    write_text("x.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    REFUSED(open_path("x.safetensors"), "is a Git LFS pointer");
    write_text("x.gguf", "GGUF1234");
    REFUSED(open_path("x.gguf"), "x.gguf: error: is GGUF of version 875770417");
    write_text("x.bin", "GGUF1234"); /* as GGUF, whatever its name */
    REFUSED(open_path("x.bin"), "is GGUF of version");
    write_text("x.tflite", "TFL3");
    REFUSED(open_path("x.tflite"), "TensorFlow Lite graphs are not read");
    write_text("x.json", "{}");
    REFUSED(open_path("x.json"), "is not a checkpoint: expected .safetensors");
    write_text("x.pth", "\x80\x02}.");
    REFUSED(open_path("x.pth"), "is a pickle, but none of torch.save");
    static ZipBuilder z; /* a zip is read as one, whatever its name */
    zip_add(&z, "m/data.pkl", "\x80\x02}.", 4), zip_end(&z);
    write_file("x.ckpt", z.out.p, z.out.n);
    REFUSED(open_path("x.ckpt"), "holds no tensors");
}

static void folders(void) {
    empty_folder();
    REFUSED(open_path(""), "the folder holds no checkpoint, it is empty: expected model.safetensors");
    write_text("notes.txt", "nothing");
    REFUSED(open_path(""), "the folder holds no checkpoint: expected model.safetensors");
    write_text("a.onnx", "");
    REFUSED(open_path(""), "a.onnx: error: ONNX graphs are not read");
    write_text("b.gguf", "GGUF");
    REFUSED(open_path(""), "b.gguf: error: ends within its header: the file is truncated");
    write_tensor("other.safetensors", "other");
    CHECK(open_path("") && weights_find(&set, "other"));
    write_tensor("another.safetensors", "another");
    REFUSED(open_path(""),
            "the folder holds 2 checkpoint files (another.safetensors, other.safetensors): name the one "
            "to read, as in ");
    CHECK_STR_CONTAINS(diag.log.s, "/another.safetensors");
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"other\":\"other.safetensors\"}}");
    CHECK(open_path("") && set.n == 1 && weights_find(&set, "other"));
    write_tensor("model.safetensors", "model");
    CHECK(open_path("") && set.n == 1 && weights_find(&set, "model"));
    CHECK(diag.log.n == 0); /* other names say nothing of a model */
    write_text("pytorch_model.bin", "x"), write_text("training_args.bin", "x");
    CHECK(open_path("") && diag.warnings == 0);
    CHECK_STR_CONTAINS(diag.log.s, "pytorch_model.bin: note: is not read: model.safetensors goes before it");
    CHECK(!strstr(diag.log.s, "training_args"));
    write_tensor("model-00001-of-00002.safetensors", "a"), write_tensor("adapter_model.safetensors", "b");
    CHECK(open_path("") && set.n == 1 && diag.warnings == 2);
    CHECK_STR_CONTAINS(diag.log.s,
                       "00002.safetensors: warning: is not read: model.safetensors does not name it");
    CHECK_STR_CONTAINS(diag.log.s, "adapter_model.safetensors: warning: is not applied: merge the adapter");
    empty_folder();
    write_tensor("model.safetensors", "model");
    write_tensor("other.safetensors", "other"), write_tensor("another.safetensors", "another");
    CHECK(open_path("") && diag.log.n == 0);
    CHECK(weights_add(&diag, &set, in_folder("another.safetensors")) && set.n == 2);
    CHECK(weights_add(&diag, &set, in_folder("other.safetensors")) && set.n == 3);
    CHECK(!strcmp(set.tensors[0].name, "another") && !strcmp(set.tensors[1].name, "model"));
    REFUSED(weights_add(&diag, &set, in_folder("model.safetensors")), "model: this tensor is also in");
}

/* Whether the folder is opened by that file alone, whose tensor is called `holds`. */
static bool opens(const char *holds) {
    return open_path("") && set.n == 1 && weights_find(&set, holds);
}

/* What lies beside the weights: what a training run leaves, expected numbers, the same model once more, parts. */
static void folders_of_others(void) {
    empty_folder();
    write_text("model.pth", "x"), write_tensor("expected.safetensors", "logits");
    REFUSED(open_path(""), "model.pth: ");
    write_tensor("model.safetensors", "model");
    CHECK(opens("model") && diag.warnings == 0);
    CHECK_STR_CONTAINS(diag.log.s, "model.pth: note: is not read: model.safetensors goes before it");

    empty_folder();
    write_tensor("RWKV-x.safetensors", "a"), write_text("RWKV-x.pth", "x"), write_text("optimizer.pt", "x");
    write_text("scheduler.pt", "x"), write_text("rng_state_0.pth", "x"), write_text("training_args.bin", "x");
    CHECK(opens("a"));
    CHECK_STR_CONTAINS(diag.log.s, "RWKV-x.pth: note: is not read: RWKV-x.safetensors goes before it");
    CHECK(!strstr(diag.log.s, "optimizer"));
    write_tensor("RWKV-y.safetensors", "b");
    REFUSED(open_path(""), "holds 2 checkpoint files (RWKV-x.safetensors, RWKV-y.safetensors): name the one");
    CHECK(open_path("RWKV-y.safetensors") && weights_find(&set, "b"));

    empty_folder();
    write_tensor("optimizer.safetensors", "a"); /* alone it is what is meant */
    CHECK(opens("a"));
    write_text("weights.ckpt", "PK\3\4");
    REFUSED(open_path(""), "weights.ckpt: error: ");

    empty_folder();
    write_tensor("model-00001-of-00002.safetensors", "a"),
        write_tensor("model-00002-of-00002.safetensors", "b");
    REFUSED(open_path(""),
            "which are shards: the index that names them (model.safetensors.index.json) is missing");
    write_tensor("consolidated.safetensors", "c");
    write_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
                                               "\"b\":\"model-00002-of-00002.safetensors\"}}");
    CHECK(open_path("") && set.n == 2 && diag.warnings == 0);
    CHECK_STR_CONTAINS(diag.log.s, "consolidated.safetensors: note: is not read");

    empty_folder();
    write_text("consolidated.00.pth", "x"), write_text("consolidated.01.pth", "x");
    REFUSED(open_path(""), "which hold parts of each tensor: convert them");
}

static bool open_index(const char *json) {
    write_text("x.index.json", json);
    return open_path("x.index.json");
}

static void indexes(void) {
    empty_folder();
    write_tensor("one.safetensors", "first");
    write_tensor("two.safetensors", "second");
    CHECK(open_index(
        "{\"metadata\":{},\"weight_map\":{\"second\":\"two.safetensors\",\"first\":\"one.safetensors\"}}"));
    CHECK(set.n == 2 && weights_find(&set, "first") && weights_find(&set, "second"));
    REFUSED(open_index("{"), "is not valid JSON");
    REFUSED(open_index("[]"), "must have an object \"weight_map\"");
    REFUSED(open_index("{\"weight_map\":[]}"), "must have an object \"weight_map\"");
    REFUSED(open_index("{\"weight_map\":{}}"), "weight_map is empty");
    REFUSED(open_index("{\"weight_map\":{\"a\":3}}"), "a: must be the name of a shard file");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}"),
            "must be a file beside the index, not a path");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"..\"}}"), "must be a file beside the index");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"sub/one.safetensors\"}}"),
            "must be a file beside the index");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"\"}}"), "must be a file beside the index");
    REFUSED(open_index("{\"weight_map\":{\"a\\nb\":\"one.safetensors\"}}"), "a?b: the tensor's name holds");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"x.index.json\"}}"), "is an index itself");
    REFUSED(open_index("{\"weight_map\":{\"a\":\"ones.safetensors\"}}"),
            "ones.safetensors is not there (did you mean \"one.safetensors\"?)");
    REFUSED(open_index("{\"weight_map\":{\"firts\":\"one.safetensors\"}}"),
            "one.safetensors, which holds no such tensor (did you mean \"first\"?)");
    REFUSED(open_index("{\"weight_map\":{\"first\":\"two.safetensors\",\"second\":\"one.safetensors\"}}"),
            "but it is in");
    REFUSED(open_index("{\"weight_map\":{\"first\":\"one.safetensors\",\"first\":\"one.safetensors\"}}"),
            "weight_map: the key \"first\" is given twice");
    REFUSED(open_index("{\"weight_map\":{\"first\":\"one.safetensors\"}} xyz"), "there is text behind it");
    REFUSED(open_index("{\"weight_map\":{\"first\":\"one.safetensors\"},\"weight_map\":{}}"),
            "the key \"weight_map\" is given twice");
    write_tensor("two.safetensors", "first");
    REFUSED(open_index("{\"weight_map\":{\"first\":\"one.safetensors\",\"x\":\"two.safetensors\"}}"),
            "first: this tensor is also in");
}

/* ---- published checkpoints ---- */

static bool same_tensors(const WeightSet *a, const WeightSet *b) {
    if (a->n != b->n) return false;
    for (int i = 0; i < a->n; i++) {
        const RawTensor *x = &a->tensors[i], *y = weights_find(b, x->name);
        if (!y || x->dt != y->dt || x->rank != y->rank || x->bytes != y->bytes) return false;
        if (memcmp(x->dim, y->dim, sizeof x->dim) || memcmp(x->data, y->data, x->bytes)) return false;
    }
    return a->n > 0;
}

static void conformance_case(const char *cases, const char *name) {
    static const char *const others[] = {"model.pth", "model.pt", "expected.safetensors"};
    fresh();
    const char *path = arena_printf(arena, "%s/%s", cases, name);
    if (!file_exists(arena_printf(arena, "%s/model.safetensors", path))) return;
    if (!CHECK(weights_open(&diag, arena, path, &set))) fprintf(stderr, "    %s", diag.log.s);
    for (int i = 0; i < 3; i++) {
        WeightSet other;
        const char *file = arena_printf(arena, "%s/%s", path, others[i]);
        if (!file_exists(file)) continue;
        if (!CHECK(weights_open(&diag, arena, file, &other))) fprintf(stderr, "    %s", diag.log.s);
        if (i < 2 && !CHECK(same_tensors(&set, &other))) fprintf(stderr, "    %s\n", file);
        weights_close(&other);
    }
}

static void conformance(const char *cases) {
    DIR *dir = opendir(cases);
    if (!dir) {
        printf("weights: skipped the conformance cases: no folder %s\n", cases);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') conformance_case(cases, e->d_name);
    closedir(dir);
}

/* ---- pairs of tensors ---- */

/* Byte i of the data is i: blocks of two rows, and their exponents. */
static void pairs_in_mxfp4_become_one(void) {
    static const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6};
    static const char json[] = "{\"x_blocks\":{\"dtype\":\"U8\",\"shape\":[2,1,16],\"data_offsets\":[0,32]},"
                               "\"x_scales\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[32,34]},"
                               "\"y_blocks\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[34,36]}}";
    double got[64];
    CHECK(read_json(json, 36) && weights_join_mxfp4(&diag, &set));
    const RawTensor *x = weights_find(&set, "x");
    if (!CHECK(x && x->rank == 2 && x->dim[0] == 2 && x->dim[1] == 32 && set.n == 4)) return;
    CHECK(weights_find(&set, "x_blocks")->used && weights_find(&set, "x_scales")->used);
    CHECK(!weights_find(&set, "y_blocks")->used && !weights_find(&set, "y"));
    raw_tensor_doubles(x, 0, 64, got);
    for (int i = 0; i < 64; i++) {
        int byte = i / 2, code = i % 2 ? byte >> 4 : byte & 15;
        CHECK(got[i] == ldexp(values[code], 32 + i / 32 - 127));
    }
}

int main(int argc, char **argv) {
    if (!mkdtemp(folder)) return perror(folder), 1;
    reads_tensors();
    other_types_are_kept_by_name();
    spelling_of_a_type_is_told();
    lying_headers_are_refused();
    lying_entries_are_refused();
    tensors_must_tile_the_data();
    pairs_in_mxfp4_become_one();
    writer_round_trips();
    paths();
    folders();
    folders_of_others();
    indexes();
    conformance(argc > 1 ? argv[1] : "tests/conformance");
    empty_folder();
    rmdir(folder);
    arena_free(arena);
    return check_report("weights");
}
