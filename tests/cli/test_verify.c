/* btc verify as people call it: forms, files, tolerances, other machines, and what it says about models that
 * give wrong numbers.
 *     test_verify [BTC [CONFORMANCE]] */
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "cli/kit.h"
#include "weights/weights.h"

static const char *expected(const char *name) {
    return arena_printf(arena, "%s/%s/expected.safetensors", cases, name);
}

/* It disagreed, and printed this. */
static void check_off(Run r, const char *message) {
    CHECK(r.status == 1 && !*r.err);
    CHECK_STR_CONTAINS(r.out, " OFF ");
    CHECK_STR_CONTAINS(r.out, message);
}

/* A copy of a checkpoint in which one number is another. */
static const char *broken(const char *name, const char *tensor, float value) {
    const char *copy = at(arena_printf(arena, "broken-%s", tensor));
    const char *file = arena_printf(arena, "%s/model.safetensors", copy);
    CHECK(system(arena_printf(arena, "cp -r '%s' '%s' && chmod -R u+w '%s'", model(name), copy, copy)) == 0);
    char header[1 << 16];
    uint64_t length = 0, start = 0;
    int f = open(file, O_RDWR);
    CHECK(f >= 0 && read(f, &length, 8) == 8 && length < sizeof header);
    CHECK(read(f, header, (size_t)length) == (ssize_t)length);
    header[length] = 0;
    const char *entry = strstr(header, arena_printf(arena, "\"%s\"", tensor));
    const char *offsets = entry ? strstr(entry, "\"data_offsets\":[") : NULL;
    if (CHECK(offsets != NULL)) start = strtoull(offsets + strlen("\"data_offsets\":["), NULL, 10);
    CHECK(pwrite(f, &value, sizeof value, (off_t)(8 + length + start)) == sizeof value);
    close(f);
    return copy;
}

static void check_forms(void) {
    static const char *const forms[] = {"--form=interpret", "--form=step --threads=2", "--form=chunk",
                                        "--form=chunk --chunk=7 --threads=2"};
    const char *m = model("hf-mamba"), *e = expected("hf-mamba");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        Run r = run("verify '%s' --expect='%s' %s", m, e, forms[i]);
        CHECK(r.status == 0 && !*r.err);
        CHECK_STR_CONTAINS(r.out, "greedy.ids               24 of 24 tokens");
        CHECK_STR_CONTAINS(r.out, "all agree: ");
        /* compiled code: against the interpreter, states as well */
        if (i) CHECK_STR_CONTAINS(r.out, "ok   state.2.h");
    }
    CHECK_FAILS(run("verify '%s' --input='%s' --form=interpret", m, e), 2, "nothing to compare");
    if (have("hyena-order2"))
        CHECK_PRINTS(run("verify '%s' --expect='%s'", model("hyena-order2"), expected("hyena-order2")),
                     "ok   filter");
}

/* Weights in another type or in few bits: the interpreter takes them as they are stored, and rounds what is
 * multiplied with them as compiled code does. Cut states and what
 * a long convolution keeps beyond the position are no faults. */
static void check_storage(void) {
    static const char *const names[] = {"hf-mamba2", "hyena-lm", "hf-mixtral"};
    static const char *const ways[] = {"--dtype=bf16", "--quant=q8 --math=f32",
                                       "--dtype=f16 --quant=q4 --math=f32", "--quant=q8 --form=step",
                                       "--quant=q4 --state=f16"};
    for (int k = 0; k < (int)(sizeof ways / sizeof *ways); k++) {
        Run r = run("verify '%s' --input='%s' %s", model(names[k % 3]), expected(names[k % 3]), ways[k]);
        CHECK(r.status == 0);
        CHECK_STR_CONTAINS(r.out, "all agree");
    }
}

/* The ids of a file, the first of them another. */
static void put_other_input(const char *from, const char *to) {
    Diag d = diag_new(arena, stderr);
    WeightSet w;
    const RawTensor *ids = CHECK(weights_open(&d, arena, from, &w)) ? weights_find(&w, "input_ids") : NULL;
    if (!CHECK(ids != NULL)) return;
    RawTensor t = *ids;
    uint8_t *data = arena_copy(arena, t.data, t.bytes);
    data[0] ^= 1, t.data = data;
    CHECK(safetensors_write(&d, arena, to, &t, 1));
    weights_close(&w);
}

static void check_files(void) {
    const char *m = model("hf-mamba"), *e = expected("hf-mamba"), *out = at("written.safetensors");
    CHECK_PRINTS(run("verify '%s' --input='%s' --form=interpret --write='%s'", m, e, out),
                 "nothing was compared");
    Run r = run("verify '%s' --input='%s' --expect='%s' --form=step", m, e, out);
    CHECK(r.status == 0);
    CHECK_STR_CONTAINS(r.out, "ok   hidden.3");
    CHECK_STR_CONTAINS(r.out, "ok   state.0.conv");
    CHECK_FAILS(run("verify '%s' --input='%s' --write='%s'", m, e, at("nowhere/x.safetensors")), 1,
                "cannot write");
    CHECK_FAILS(run("verify '%s'", m), 2, "add --input=IDS.safetensors");
    CHECK_FAILS(run("verify '%s' --input='%s/model.safetensors'", m, m), 1, "neither input_ids nor input");
    put_other_input(e, at("other.safetensors"));
    CHECK_FAILS(run("verify '%s' --input='%s' --expect='%s'", m, at("other.safetensors"), e), 1,
                "input_ids: is not that of ");
    write_file(at("tuning.json"), "{\"btc_tuning\":1,\"machine\":{\"target\":\"x86_64-linux-gnu\",\"cpu\":"
                                  "\"x86-64-v2\",\"lanes\":4},\"numbers\":{\"chunk\":16}}");
    Run tuned = run("verify '%s' --expect='%s' --tuning='%s'", m, e, at("tuning.json"));
    const char *first = strstr(tuned.err, "tuning.json: error: is for");
    CHECK(tuned.status == 1 && first && !strstr(first + 20, "error:")); /* said once */
    CHECK_FAILS(run("verify '%s' --expect='%s' --stop-after=prune", m, e), 2, "needs all passes");
    CHECK_FAILS(run("verify '%s' --expect='%s' --form=chunky", m, e), 2, "interpret, step or chunk");
}

static void check_tolerances(void) {
    const char *m = model("hf-mamba"), *e = expected("hf-mamba");
    CHECK_PRINTS(run("verify '%s' --expect='%s' --tolerance='%s/case.json'", m, e, m), "all agree");
    CHECK_PRINTS(run("verify '%s' --expect='%s' --tolerance=0.5", m, e), "tolerance       0.5");
    check_off(run("verify '%s' --expect='%s' --tolerance=1e-12", m, e), "tensors are off");
    write_file(at("t.json"), "{\"tolerance\":{\"logitz\":1}}");
    CHECK_FAILS(run("verify '%s' --expect='%s' --tolerance='%s'", m, e, at("t.json")), 1,
                "logitz: the model gives no such tensor (did you mean \"logits\"?)");
    write_file(at("t.json"), "{\"tolerance\":{\"logits\":\"wide\"}}");
    CHECK_FAILS(run("verify '%s' --expect='%s' --tolerance='%s'", m, e, at("t.json")), 1,
                "tolerance.logits: must be a positive number");
    CHECK_FAILS(run("verify '%s' --expect='%s' --tolerance=wide", m, e), 2,
                "--tolerance=wide: must be a positive number or a JSON file");
    CHECK_FAILS(run("verify '%s' --expect='%s' --tolerance=-1", m, e), 2, "must be a positive number");
    CHECK_FAILS(run("verify '%s' --expect='%s' --tolerance='%s/config.json'", m, e, m), 1,
                "must be an object of numbers");
}

/* What is wrong is found: in the description or the weights, or in the code of one op. */
static void check_blame(void) {
    const char *e = expected("hf-mamba");
    const char *m = broken("hf-mamba", "backbone.layers.1.mixer.dt_proj.bias", 5);
    check_off(run("verify '%s' --expect='%s' --form=step", m, e),
              "the first block that is off is block 2 (mamba, layer 1)\n"
              "every op of it agrees with the interpreter on its own: look at the description of \"mamba\"");
    check_off(run("verify '%s' --expect='%s' --form=interpret", m, e),
              "the interpreter itself disagrees with the expectation");
    m = broken("hf-mamba", "backbone.embeddings.weight", 9);
    check_off(run("verify '%s' --expect='%s'", m, e), "look at the embedding");
    /* Too large for f32, but not for the interpreter: the first op that overflows is named. */
    m = broken("hf-mamba", "backbone.layers.1.mixer.in_proj.weight", 1e30f);
    check_off(run("verify '%s' --input='%s'", m, e), "op 15: %y = scan.expand");
    if (have("rwkv7"))
        check_off(run("verify '%s/model.safetensors' --expect='%s'", model("rwkv7"), e), "(got f64[2,");
}

/* ---- expectations of our own ---- */

/* A tensor of a file: as its header says, and all its numbers are the same. */
typedef struct Part {
    const char *name, *dtype, *shape;
    int count, size;
    const void *number;
} Part;

static const char *tensors(const char *file, const Part *p) {
    Text header = text_new(arena), data = text_new(arena);
    for (int k = 0; p[k].name; k++) {
        size_t begin = data.n;
        for (int i = 0; i < p[k].count; i++) text_add_n(&data, p[k].number, (size_t)p[k].size);
        text_add(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                 k ? "," : "{", p[k].name, p[k].dtype, p[k].shape, begin, data.n);
    }
    text_add(&header, "}");
    uint64_t n = header.n;
    FILE *f = fopen(at(file), "wb");
    if (!CHECK(f != NULL)) return at(file);
    CHECK(fwrite(&n, 1, 8, f) == 8 && fwrite(header.s, 1, header.n, f) == header.n);
    CHECK(!data.n || fwrite(data.s, 1, data.n, f) == data.n);
    fclose(f);
    return at(file);
}

static const int64_t ID = 3, LARGE = 1000;
static const float ZERO = 0, NOT = NAN;
#define IDS(n)                                                                                               \
    { "input_ids", "I64", "[1," #n "]", n, 8, &ID }
#define EXPECT_FAILS(message, ...)                                                                           \
    CHECK_FAILS(run("verify '%s' --expect='%s'", m, tensors("x.safetensors", (Part[]){__VA_ARGS__, {0}})),   \
                1, message)

/* Nothing passes by not having been compared. */
static void check_nothing(void) {
    const char *m = model("hf-mamba"); /* three blocks, a vocabulary of 67 */
    EXPECT_FAILS("holds nothing to compare; it can hold hidden.0", IDS(4));
    EXPECT_FAILS("logitz: the model gives no such tensor (did you mean \"logits\"?)", IDS(4),
                 {"logitz", "F32", "[1,4,67]", 268, 4, &ZERO});
    EXPECT_FAILS("greedy.id: the model gives no such tensor (did you mean \"greedy.ids\"?)", IDS(4),
                 {"greedy.id", "I64", "[3]", 3, 8, &ID});
    EXPECT_FAILS("hidden.99: the model gives no such tensor: it has 3 blocks", IDS(4),
                 {"hidden.99", "F32", "[1,4,40]", 160, 4, &ZERO});
    EXPECT_FAILS("state.0.hh: the model gives no such tensor (did you mean", IDS(4),
                 {"state.0.hh", "F32", "[1,80,7]", 560, 4, &ZERO});
    EXPECT_FAILS("has greedy.ids but no greedy.prompt", IDS(4), {"greedy.ids", "I64", "[3]", 3, 8, &ID});
    EXPECT_FAILS("has greedy.prompt but no greedy.ids", IDS(4), {"greedy.prompt", "I64", "[3]", 3, 8, &ID});
    EXPECT_FAILS("greedy.ids: is empty", IDS(4), {"greedy.ids", "I64", "[0]", 0, 8, &ID},
                 {"greedy.prompt", "I64", "[1]", 1, 8, &ID});
    EXPECT_FAILS("greedy.ids: id 1000 of token 0", IDS(4), {"greedy.ids", "I64", "[1]", 1, 8, &LARGE},
                 {"greedy.prompt", "I64", "[1]", 1, 8, &ID});
    EXPECT_FAILS("logits: is empty", IDS(4), {"logits", "F32", "[1,4,0]", 0, 4, &ZERO});
    EXPECT_FAILS("logits: is f32[1,3,67], but the input has 1 sequences of 4 tokens", IDS(4),
                 {"logits", "F32", "[1,3,67]", 201, 4, &ZERO});
    EXPECT_FAILS("input_ids: is empty", IDS(0), {"logits", "F32", "[1,0,67]", 0, 4, &ZERO});
    const char *nan =
        tensors("x.safetensors", (Part[]){IDS(4), {"logits", "F32", "[1,4,67]", 268, 4, &NOT}, {0}});
    Run r = run("verify '%s' --expect='%s'", m, nan);
    check_off(r, "OFF  logits                   max error       inf");
    check_off(run("verify '%s' --expect='%s' --tolerance=1e30", m, nan), "OFF  logits");
    /* fewer columns than the model gives */
    const char *few =
        tensors("x.safetensors", (Part[]){IDS(4), {"logits", "F32", "[1,4,9]", 36, 4, &ZERO}, {0}});
    check_off(run("verify '%s' --expect='%s' --tolerance=1e30", m, few),
              "(got f64[1,4,67], expected f32[1,4,9])");
}

/* A block of many statements takes and gives many values; each is looked at when the op that is off is
 * sought. */
static void check_large_block(void) {
    enum { VALUES = 70 };
    Text names = text_new(arena), t = text_new(arena);
    for (int i = 0; i < VALUES; i++) text_add(&names, "%s\"v%d\"", i ? "," : "", i);
    text_add(&t,
             "{\"btc\":1,\"input\":{\"features\":4},\"weights\":\"large.safetensors\",\"ignore\":[\"*\"],"
             "\"output\":\"v0\",\"blocks\":{\"b\":{\"in\":[%s],"
             "\"out\":[%s],\"ops\":[",
             names.s, names.s);
    for (int i = 0; i < VALUES; i++)
        text_add(&t, "%s{\"out\":\"v%d\",\"map\":\"tanh(v%d + v%d)\"}", i ? "," : "", i, i, (i + 1) % VALUES);
    text_add(&t, "]}},\"model\":[");
    for (int i = 0; i < VALUES; i++) text_add(&t, "{\"out\":\"v%d\",\"map\":\"input * %d.5\"},", i, i % 3);
    text_add(&t, "{\"layers\":2,\"pattern\":[\"b\"],\"prefix\":\"\"}]}");
    write_file(at("large.json"), t.s);
    char file[8 + 80 + 64] = {0};
    float x[16];
    for (int i = 0; i < 16; i++) x[i] = (float)(i - 7) / 8;
    strcpy(file + 8, "{\"input\":{\"dtype\":\"F32\",\"shape\":[1,4,4],\"data_offsets\":[0,64]}}");
    file[0] = (char)strlen(file + 8);
    memcpy(file + 8 + strlen(file + 8), x, sizeof x);
    FILE *f = fopen(at("large.safetensors"), "wb");
    CHECK(f && fwrite(file, 1, 8 + (size_t)file[0] + sizeof x, f) == 8 + (size_t)file[0] + sizeof x);
    if (f) fclose(f);
    const char *m = at("large.json"), *e = at("large.safetensors");
    CHECK_PRINTS(run("verify '%s' --input='%s'", m, e), "all agree");
    check_off(run("verify '%s' --input='%s' --form=step --tolerance=1e-30", m, e), "tensors are off");
}

/* ---- numbers of uneven size ---- */

enum { ROWS = 40, HEAD = 8 };

/* Rows of q, k and v for one head of attention; pseudo-random numbers, the first of k times `large`. */
static const char *rows_of_attention(const char *file, float large, int row, float value, float score) {
    static float x[ROWS][3 * HEAD];
    uint32_t bits = 1;
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < 3 * HEAD; i++) {
            bits = bits * 1664525 + 1013904223;
            x[t][i] = ((float)(bits >> 8) / 8388608 - 1) * (i == HEAD ? large : 1);
            if (i == 0 && score < 0) x[t][i] = 1;
        }
    if (score < 0) x[row][HEAD] = score;
    x[row][2 * HEAD + 3] = value;
    RawTensor t = {.name = "input", .dt = DT_F32, .rank = 3, .dim = {1, ROWS, 3 * HEAD}, .bytes = sizeof x};
    t.data = (const uint8_t *)x;
    Diag d = diag_new(arena, stderr);
    CHECK(safetensors_write(&d, arena, at(file), &t, 1));
    return at(file);
}

/* A channel far larger than the others is no fault, and what compiled code makes of it is right; values that are
 * not finite come out so, even of keys whose weight is 0, and scores of any size have a softmax. */
static void check_uneven(void) {
    static const struct {
        float large, value, score;
    } rows[] = {{1, 0.5f, 0},   {100, 0.5f, 0},      {3e4f, 0.5f, 0},
                {1, NAN, -600}, {1, INFINITY, -600}, {-1e31f, 0.5f, 0}};
    const char *m = at("attention.json");
    write_file(
        m,
        "{\"btc\":1,\"input\":{\"features\":24},\"weights\":\"attention-w.safetensors\",\"ignore\":[\"*\"],"
        "\"context\":64,\"output\":\"y\",\"model\":["
        "{\"out\":\"p\",\"op\":\"position\"},{\"out\":[\"q\",\"k\",\"v\"],\"split\":\"input\",\"sizes\":[8,8,"
        "8]},"
        "{\"out\":\"q\",\"op\":\"reshape\",\"x\":\"q\",\"shape\":[1,8]},"
        "{\"out\":\"k\",\"op\":\"reshape\",\"x\":\"k\",\"shape\":[1,8]},"
        "{\"out\":\"v\",\"op\":\"reshape\",\"x\":\"v\",\"shape\":[1,8]},"
        "{\"out\":\"k\",\"op\":\"rope\",\"x\":\"k\",\"pos\":\"p\",\"dims\":4},"
        "{\"out\":\"y\",\"op\":\"attend\",\"q\":\"q\",\"k\":\"k\",\"v\":\"v\",\"state\":[\"a\",\"b\"]},"
        "{\"out\":\"y\",\"op\":\"reshape\",\"x\":\"y\",\"shape\":[8]}]}");
    tensors("attention-w.safetensors", (Part[]){{"unused", "F32", "[1]", 1, 4, &ZERO}, {0}});
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const char *x =
            rows_of_attention("attention.safetensors", rows[k].large, 4, rows[k].value, rows[k].score);
        for (int form = 0; form < 4; form++) {
            Run r = run("verify '%s' --input='%s' --form=%s --math=%s", m, x, form & 1 ? "step" : "chunk",
                        form & 2 ? "bf16" : "f32");
            if (!CHECK(r.status == 0 && strstr(r.out, "all agree")))
                fprintf(stderr, "    case %zu, form %d: %s\n", k, form, r.out);
        }
    }
}

static void check_machines(void) {
    const char *m = model("hf-mamba"), *e = expected("hf-mamba");
    CHECK_FAILS(run("verify '%s' --expect='%s' --target=nvptx64 --gpu=sm_80", m, e), 2,
                "there is no way to run a model for it here");
    Run r = run("verify '%s' --expect='%s' --target=aarch64-linux-gnu --form=step", m, e);
    if (strstr(r.err, "qemu") || strstr(r.err, "/usr/aarch64"))
        printf("verify: skipped aarch64: %s", r.err);
    else
        CHECK(r.status == 0 && strstr(r.out, "all agree"));
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    if (have("hf-mamba")) {
        check_forms();
        if (check_amount() != CHECK_FEW) check_storage();
        check_files();
        check_tolerances();
        check_nothing();
        if (check_amount() != CHECK_FEW) check_blame(), check_machines();
    }
    if (check_amount() != CHECK_FEW) check_large_block();
    check_uneven();
    return finish("verify");
}
