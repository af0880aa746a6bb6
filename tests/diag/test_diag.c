/* Bad checkpoints, configurations and descriptions, through the btc binary: each is refused by a message that
 * says where and why. Rows are: title, change, how the message begins, what it holds.
 *     test_diag [BTC [CONFORMANCE]] */
#include "edit.h"
#include "weights/build.h"

#define ST "m/model.safetensors: error: "
#define CFG "m/config.json:"

/* ---- weights files ---- */

#define WEIGHTS "model.safetensors"
#define HEADER(from, to)                                                                                     \
    { WEIGHTS, EDIT_HEADER, from, to, 0 }
#define CUT(n)                                                                                               \
    { WEIGHTS, EDIT_CUT, NULL, NULL, n }
#define LENGTH(n)                                                                                            \
    { WEIGHTS, EDIT_LENGTH, NULL, NULL, n }

static const Bad SAFETENSORS[] = {
    {"an empty file", CUT(0), ST, "is empty", NULL, 0},
    {"cut inside the header's length", CUT(5), ST, "too short for the header's length", NULL, 0},
    {"cut behind the header's length", CUT(8), ST, "the file is truncated", NULL, 0},
    {"cut inside the header", CUT(777), ST, "2112 bytes, but only 769 follow", NULL, 0},
    {"cut behind the header", CUT(2120), ST, "lm_head.weight: data_offsets", NULL, 0},
    {"cut inside the data", CUT(50001), ST, "reach beyond the data", NULL, 0},
    {"an odd byte at the end", {WEIGHTS, EDIT_APPEND, NULL, "x", 0}, ST, "ends at byte", NULL, 0},
    {"the header's length is too short", LENGTH(500), ST, "is not valid JSON", NULL, 0},
    {"the header's length is 0", LENGTH(0), ST, "not a JSON object", NULL, 0},
    {"the header's length is huge", LENGTH(INT64_MAX), ST, "error: ", NULL, 0},
    {"the header's length is negative", LENGTH(-1), ST, "error: ", NULL, 0},
    {"no header at all", {WEIGHTS, EDIT_WHOLE, NULL, "this is no checkpoint", 0}, ST, NULL, NULL, 0},
    {"a Git LFS pointer",
     {WEIGHTS, EDIT_WHOLE, NULL,
      "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 53000\n", 0},
     ST,
     "git lfs pull",
     NULL,
     0},
    {"another dtype of the same size", HEADER("\"F32\"", "\"I32\""), NULL,
     "holds i32, expected floating-point", NULL, 0},
    {"another dtype of another size", HEADER("\"F32\"", "\"F16\""), ST, "needs 6432 bytes", NULL, 0},
    {"a dtype that is not there", HEADER("\"F32\"", "\"F23\""), NULL,
     "holds F23, expected floating-point numbers (f32", NULL, 0},
    {"a dtype in small letters", HEADER("\"F32\"", "\"f32\""), NULL,
     "holds \"f32\", which the format writes \"F32\", expected", NULL, 0},
    {"a dtype that is a number", HEADER("\"F32\"", "32"), ST, "a string such as", NULL, 0},
    {"axes swapped", HEADER("[67,48]", "[48,67]"), NULL, "f32[48,67], expected the shape [67,48]", NULL, 0},
    {"an axis too many", HEADER("[67,48]", "[67,6,8]"), NULL, "expected the shape", NULL, 0},
    {"a shape beyond its bytes", HEADER("[67,48]", "[67,49]"), ST, "needs 13132 bytes", NULL, 0},
    {"a negative size", HEADER("[67,48]", "[-67,48]"), ST, "shape[0] must be", NULL, 0},
    {"a size that overflows", HEADER("[67,48]", "[4611686018427387904,4,48]"), ST, "shape[0]", NULL, 0},
    {"sizes that overflow together", HEADER("[67,48]", "[4294967296,4294967296]"), ST, "overflow", NULL, 0},
    {"a shape with a string", HEADER("[67,48]", "[\"67\",48]"), ST, "shape[0]", NULL, 0},
    {"a tensor in the place of another", HEADER("[0,12864]", "[12864,25728]"), ST, "no hole", NULL, 0},
    {"offsets that overlap", HEADER("[25728,25920]", "[25724,25916]"), ST, "overlap", NULL, 0},
    {"offsets swapped", HEADER("[0,12864]", "[12864,0]"), ST, "end before they begin", NULL, 0},
    {"one offset", HEADER("[0,12864]", "[0]"), ST, "two non-negative integers", NULL, 0},
    {"no offsets", HEADER("\"data_offsets\":[0,12864]", "\"offsets\":[0,12864]"), ST, "data_offsets", NULL,
     0},
    {"a tensor twice", HEADER("\"model.embed_tokens.weight\"", "\"lm_head.weight\""), ST, "twice", NULL, 0},
    {"a tensor without a name", HEADER("\"lm_head.weight\"", "\"\""), ST, "empty name", NULL, 0},
    {"a control character in a name", HEADER("lm_head.weight", "lm\\u0007head"), ST, "control character",
     NULL, 0},
    {"a tensor renamed", HEADER("lm_head.weight", "lm_haed.weight"), NULL,
     "has no tensor \"lm_head.weight\" ([67,48] is expected) (did you mean \"lm_haed.weight\"?)", NULL, 0},
    {"a tensor renamed inside a layer", HEADER("layers.0.mlp.up_proj.weight", "layers.0.mlp.upproj.weight"),
     NULL, "did you mean \"model.layers.0.mlp.upproj.weight\"?", NULL, 0},
};

static const Bad FOLDERS[] = {
    {"no weights", {WEIGHTS, EDIT_REMOVE, NULL, NULL, 0}, "m: error: ", NULL, NULL, 0},
    {"a model that is not there", {0}, "mm: error: ", "no such file or folder", "mm -o out/x.so", 0},
    {"a file that is no model", {0}, "m/case.txt: error: ", NULL, "m/case.txt -o out/x.so", 0},
    {"no configuration", {"config.json", EDIT_REMOVE, NULL, NULL, 0}, "m: error: ", "--arch=NAME", NULL, 0},
    {"an index of shards that are not there",
     {WEIGHTS, EDIT_RENAME, NULL, "model-1.safetensors", 0},
     "m/model.safetensors.index.json: error: lm_head.weight: ",
     "its shard m/model-00001-of-00002.safetensors is not there",
     NULL,
     0},
    {"an index with a path that leads out of the folder",
     {0},
     "m/out.index.json: error: ",
     "beside the index",
     "m/out.index.json -o out/x.so",
     0},
    {"an index of itself",
     {0},
     "m/self.index.json: error: ",
     "is an index itself",
     "m/self.index.json -o out/x.so",
     0},
    {"an index without a map",
     {0},
     "m/empty.index.json: error: ",
     "weight_map",
     "m/empty.index.json -o out/x.so",
     0},
    {"a configuration in place of a model",
     {0},
     "m/config.json:1:1: error: ",
     "give its folder",
     "m/config.json -o out/x.so",
     0},
    {"inputs in place of a model",
     {0},
     "m/expected.safetensors",
     "has no tensor",
     "m/expected.safetensors -o out/x.so",
     0},
};

static void check_folders(void) {
    static const char *const texts[][2] = {
        {"out.index.json", "{\"weight_map\": {\"lm_head.weight\": \"../model.safetensors\"}}"},
        {"self.index.json", "{\"weight_map\": {\"lm_head.weight\": \"self.index.json\"}}"},
        {"empty.index.json", "{\"metadata\": {}}"},
        {"case.txt", "text"},
    };
    static const char shards[] =
        "{\"weight_map\": {\"lm_head.weight\": \"model-00001-of-00002.safetensors\"}}";
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
        const Bad *b = &FOLDERS[i];
        fresh_copy("hf-llama");
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            if (b->args && strstr(b->args, texts[k][0]))
                write_bytes(arena_printf(arena, "m/%s", texts[k][0]), texts[k][1], strlen(texts[k][1]));
        if (b->edit.kind == EDIT_RENAME)
            write_bytes("m/model.safetensors.index.json", shards, sizeof shards - 1);
        if (b->edit.kind == EDIT_REMOVE && !strcmp(b->edit.file, WEIGHTS))
            CHECK(!unlink("m/expected.safetensors"));
        edit("m", &b->edit);
        const char *args = b->args ? b->args : "m -o out/x.so";
        check_refused(b->title, args, run_btc(args), 1, b->where, b->what);
    }
    remove_folder("m");
    CHECK(mkdir("m", 0777) == 0);
    check_refused("an empty folder", "m -o out/x.so", run_btc("m -o out/x.so"), 1,
                  "m: error: ", "holds no checkpoint");
}

/* ---- pickles ---- */

#define PTH "m/model.pth: error: "
#define PTH_CUT(n)                                                                                           \
    { "model.pth", EDIT_CUT, NULL, NULL, n }
#define PTH_ARGS "m/model.pth -o out/x.so"

static const Bad PICKLES[] = {
    {"cut at once", PTH_CUT(3), PTH, NULL, PTH_ARGS, 0},
    {"cut inside the pickle", PTH_CUT(4000), PTH, "truncated", PTH_ARGS, 0},
    {"cut inside the data", PTH_CUT(200000), PTH, "truncated", PTH_ARGS, 0},
    {"cut inside the directory", PTH_CUT(274200), PTH, "truncated", PTH_ARGS, 0},
    {"damaged opcodes",
     {"model.pth", EDIT_TEXT, "ctorch._utils", "ctorch._evils", 0},
     PTH,
     "_evils",
     PTH_ARGS,
     0},
    {"another storage",
     {"model.pth", EDIT_TEXT, "torch\nFloatStorage", "torch\nFloutStorage", 0},
     PTH,
     NULL,
     PTH_ARGS,
     0},
    {"no zip", {"model.pth", EDIT_WHOLE, NULL, "\x80\x02}q.", 0}, PTH, NULL, PTH_ARGS, 0},
};

/* torch.load would run it; btc names it. */
static void check_code(const char *title, const char *pickle, size_t n, const char *what) {
    static ZipBuilder z;
    memset(&z, 0, sizeof z);
    zip_add(&z, "m/data.pkl", pickle, n);
    zip_end(&z);
    remove_folder("m");
    CHECK(mkdir("m", 0777) == 0);
    write_bytes("m/model.pth", z.out.p, z.out.n);
    check_refused(title, PTH_ARGS, run_btc(PTH_ARGS), 1, PTH, what);
    CHECK(!file_exists("ran"));
}
#define CODE(title, pickle, what) check_code(title, pickle, sizeof pickle - 1, what)

static void check_pickles(void) {
    CHECK_BAD("rwkv7", PICKLES);
    CODE("code in a pickle",
         "\x80\x02"
         "cos\nsystem\nX\x09\0\0\0touch ran\x85R.",
         "holds code (os.system)");
    CODE("code under another name", "\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x09touch ran\x85R.",
         "holds code (posix.system)");
    CODE("code by reduce",
         "\x80\x02"
         "cbuiltins\neval\nX\x05\0\0\0"
         "1+1+1\x85R.",
         "holds code (builtins.eval)");
    CODE("a pickle without an end", "\x80\x02}", NULL);
    CODE("a pickle of a number", "\x80\x02K\x01.", NULL);
}

/* ---- configurations ---- */

#define KEY(name, value)                                                                                     \
    { "config.json", EDIT_KEY, name, value, 0 }
#define CONFIG(from, to)                                                                                     \
    { "config.json", EDIT_TEXT, from, to, 0 }

static const Bad CONFIGS[] = {
    {"not JSON",
     {"config.json", EDIT_WHOLE, NULL, "{\"hidden_size\": 4,", 0},
     CFG "1:",
     "is not valid JSON",
     NULL,
     0},
    {"cut short", {"config.json", EDIT_CUT, NULL, NULL, 300}, CFG, "is not valid JSON", NULL, 0},
    {"a list", {"config.json", EDIT_WHOLE, NULL, "[1]", 0}, CFG "1:1", "must be an object", NULL, 0},
    {"empty", {"config.json", EDIT_WHOLE, NULL, "", 0}, CFG, NULL, NULL, 0},
    {"a size is NaN", KEY("hidden_size", "NaN"), CFG, "hidden_size: must be a whole number", NULL, 0},
    {"a size is infinite", KEY("hidden_size", "Infinity"), CFG, "hidden_size: must be", NULL, 0},
    {"a size is a string", KEY("hidden_size", "\"48\""), CFG, "got the string \"48\"", NULL, 0},
    {"a size is a list", KEY("hidden_size", "[48]"), CFG, "got a list", NULL, 0},
    {"a size is negative", KEY("hidden_size", "-48"), CFG, "got the number -48", NULL, 0},
    {"a size is a fraction", KEY("hidden_size", "48.5"), CFG, "got the number 48.5", NULL, 0},
    {"a size is zero", KEY("hidden_size", "0"), CFG, "at least 1", NULL, 0},
    {"a size is null", KEY("hidden_size", "null"), CFG, "got null", NULL, 0},
    {"a size is huge", KEY("hidden_size", "1e30"), CFG, "got the number 1e+30", NULL, 0},
    {"a number that no double holds", KEY("hidden_size", "1e999"), CFG, "too large", NULL, 0},
    {"a size that is not the file's", KEY("hidden_size", "42"), NULL,
     "is f32[67,48], expected the shape [67,42]", NULL, 0},
    {"an inner size that is not the file's", KEY("intermediate_size", "73"), NULL, "expected the shape", NULL,
     0},
    {"a vocabulary that is not the file's", KEY("vocab_size", "66"), NULL, "expected the shape [66,48]", NULL,
     0},
    {"layers that the file has not", KEY("num_hidden_layers", "3"), CFG,
     "is 3, but the checkpoint holds 2 layers", NULL, 0},
    {"fewer layers than the file has", KEY("num_hidden_layers", "1"), CFG,
     "is 1, but the checkpoint holds 2 layers", NULL, 0},
    {"layers without end", KEY("num_hidden_layers", "1000000"), CFG, "at most 4096", NULL, 0},
    {"heads that do not share", KEY("num_attention_heads", "7"), CFG, "not shared evenly", NULL, 0},
    {"no heads", KEY("num_attention_heads", "0"), CFG, "at least 1", NULL, 0},
    {"more heads than memory", KEY("num_attention_heads", "1000000000"), NULL, "a size must be", NULL, 3},
    {"an odd head", KEY("head_dim", "7"), CFG, "an even number", NULL, 0},
    {"a head of nothing", KEY("head_dim", "0"), CFG, "at least 1", NULL, 0},
    {"eps is NaN", KEY("rms_norm_eps", "NaN"), CFG, "is NaN", NULL, 0},
    {"eps is a string", KEY("rms_norm_eps", "\"small\""), CFG, "must be a number", NULL, 0},
    {"eps is infinite", KEY("rms_norm_eps", "Infinity"), CFG, "too large", NULL, 0},
    {"an activation that is not there", KEY("hidden_act", "\"swiglu\""), CFG, "did you mean \"silu\"?", NULL,
     0},
    {"an activation that is a number", KEY("hidden_act", "1"), CFG, "must be a string", NULL, 0},
    {"a scaling with a typo", KEY("rope_type", "\"yarm\""), CFG, "did you mean \"yarn\"?", NULL, 0},
    {"rotations without a base", KEY("rope_theta", "0"), CFG, "must be above 1", NULL, 0},
    {"rotations with an infinite base", KEY("rope_theta", "Infinity"), CFG, "too large", NULL, 0},
    {"a switch that is a number", KEY("tie_word_embeddings", "1"), CFG, "must be true or false", NULL, 0},
    {"no positions", KEY("max_position_embeddings", "0"), CFG, "at least 1", NULL, 0},
    {"a bias that the file has not", KEY("mlp_bias", "true"), NULL, "has no tensor", NULL, 0},
    {"an object in place of a list", CONFIG("\"rope_parameters\": {", "\"layer_types\": {"), CFG,
     "must be a list", NULL, 0},
    {"an unknown key", CONFIG("\"mlp_bias\": false", "\"mlp_gates\": true"), CFG,
     "mlp_gates: this key is not known", NULL, 0},
    {"a typo in a key", CONFIG("\"mlp_bias\"", "\"mpl_bias\""), CFG, "did you mean \"mlp_bias\"?", NULL, 0},
    {"a typo in a key that must be there", CONFIG("\"hidden_size\"", "\"hiden_size\""), CFG, "hiden_size",
     NULL, 0},
    {"a key twice", CONFIG("\"mlp_bias\"", "\"hidden_size\": 48, \"mlp_bias\""), CFG, "given twice", NULL, 0},
    {"an unknown architecture", CONFIG("LlamaForCausalLM\"\n  ],", "GPT9Model\"\n  ],"), NULL, NULL,
     "m -o out/x.so --arch=gpt9", 0},
    {"an architecture with a typo",
     {0},
     "m: error: ",
     "did you mean \"mamba\"?",
     "m -o out/x.so --arch=mambo",
     0},
    {"an architecture that the tensors do not have",
     {0},
     CFG,
     "d_model: the key is missing",
     "m -o out/x.so --arch=hyena",
     2},
    {"NUL in the text", CONFIG("\"silu\"", "\"si\\u0000lu\""), CFG, "\\u0000", NULL, 0},
};

/* ---- descriptions ---- */

static const char DESCRIPTION[] =
    "{\n"
    "  \"btc\": 1,\n"
    "  \"name\": \"small\",\n"
    "  \"dims\": { \"V\": 8, \"D\": 4, \"E\": \"2*D\" },\n"
    "  \"weights\": \"small.safetensors\",\n"
    "  \"input\": { \"tokens\": \"V\" },\n"
    "  \"context\": 16,\n"
    "  \"blocks\": {\n"
    "    \"b\": {\n"
    "      \"ops\": [\n"
    "        { \"out\": \"u\", \"op\": \"norm.rms\", \"x\": \"x\", \"w\": \"@norm[D]\", \"eps\": 1e-6 },\n"
    "        { \"out\": [\"p\", \"q\"], \"split\": \"u\", \"sizes\": [\"D/2\", 2] },\n"
    "        { \"out\": \"v\", \"map\": \"silu(p) * q\" },\n"
    "        { \"out\": \"v\", \"op\": \"linear\", \"x\": \"v\", \"w\": \"@up[D, 2]\" },\n"
    "        { \"out\": \"x\", \"map\": \"x + v\" }\n"
    "      ]\n"
    "    }\n"
    "  },\n"
    "  \"model\": [\n"
    "    { \"out\": \"x\", \"op\": \"embed\", \"ids\": \"tokens\", \"table\": \"@emb[V, D]\" },\n"
    "    { \"layers\": 2, \"pattern\": [\"b\"], \"prefix\": \"l.{i}.\" },\n"
    "    { \"out\": \"logits\", \"op\": \"linear\", \"x\": \"x\", \"w\": \"@head[V, D]\" }\n"
    "  ],\n"
    "  \"output\": \"logits\"\n"
    "}\n";

static void write_description(void) {
    static Buf b;
    build_safetensors(&b,
                      "{\"emb\":{\"dtype\":\"F32\",\"shape\":[8,4],\"data_offsets\":[0,128]},"
                      "\"head\":{\"dtype\":\"F32\",\"shape\":[8,4],\"data_offsets\":[128,256]},"
                      "\"l.0.norm\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[256,272]},"
                      "\"l.0.up\":{\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":[272,304]},"
                      "\"l.1.norm\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[304,320]},"
                      "\"l.1.up\":{\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":[320,352]}}",
                      352);
    for (size_t i = 3; i < 352; i += 4) b.p[b.n - 352 + i] = 0x3c; /* numbers near 0.01, all finite */
    remove_folder("m");
    CHECK(mkdir("m", 0777) == 0);
    write_bytes("m/small.safetensors", b.p, b.n);
    write_bytes("m/m.json", DESCRIPTION, sizeof DESCRIPTION - 1);
}

#define D "m/m.json:"
#define JSON(from, to)                                                                                       \
    { "m.json", EDIT_TEXT, from, to, 0 }

static const Bad DESCRIPTIONS[] = {
    {"a typo in an op", JSON("norm.rms", "norm.rsm"), D "11:", "did you mean \"norm.rms\"?", NULL, 0},
    {"an op of the compiler's own", JSON("norm.rms", "quantize.rows"),
     D "11:", "unknown op \"quantize.rows\"", NULL, 0},
    {"an unknown op", JSON("norm.rms", "magic"), D "11:", "unknown op \"magic\"", NULL, 0},
    {"a typo in an operand's key", JSON("\"w\": \"@up", "\"W\": \"@up"), D "14:", "did you mean \"w\"?", NULL,
     0},
    {"a typo in an attribute", JSON("\"eps\"", "\"esp\""), D "11:", "did you mean \"eps\"?", NULL, 0},
    {"a typo at the top", JSON("\"output\"", "\"outputs\""), D, "did you mean \"output\"?", NULL, 0},
    {"a typo in a value", JSON("silu(p)", "silu(pp)"), D "13:", "unknown value \"pp\"", NULL, 0},
    {"a typo in a function", JSON("silu(p)", "sillu(p)"), D "13:", "did you mean \"silu\"?", NULL, 0},
    {"a typo in a dimension", JSON("@up[D, 2]", "@up[DD, 2]"), D "14:", "unknown dimension \"DD\"", NULL, 0},
    {"a typo in a block", JSON("[\"b\"]", "[\"bb\"]"), D "21:", "unknown block \"bb\"", NULL, 0},
    {"a typo in a tensor", JSON("@up", "@upp"), D "14:", "did you mean \"l.0.up\"?", NULL, 0},
    {"a value that comes later", JSON("silu(p) * q", "silu(p) * z"), D "13:", "unknown value \"z\"", NULL, 0},
    {"a value that needs itself",
     JSON("{ \"out\": \"u\", \"op\": \"norm.rms\", \"x\": \"x\"",
          "{ \"out\": \"u\", \"op\": \"norm.rms\", \"x\": \"u\""),
     D "11:", "unknown value \"u\"", NULL, 0},
    {"dimensions in a circle",
     JSON("\"V\": 8, \"D\": 4, \"E\": \"2*D\"", "\"V\": 8, \"D\": \"E/2\", \"E\": \"2*D\""),
     D "4:", "unknown dimension \"E\"", NULL, 0},
    {"a block that is called main", JSON("\"b\": {", "\"main\": {"), D, NULL, NULL, 2},
    {"a block in place of an op",
     JSON("\"op\": \"norm.rms\", \"x\": \"x\"", "\"op\": \"call\", \"x\": \"x\""),
     D "11:", "blocks are called by", NULL, 0},
    {"a wrong width", JSON("@up[D, 2]", "@up[D, 3]"), D "14:", NULL, NULL, 0},
    {"a shape that is not the file's", JSON("@norm[D]", "@norm[V]"), D "11:", NULL, NULL, 0},
    {"sizes that do not add up", JSON("\"D/2\", 2", "\"D/2\", 3"), D "12:", "the sum 5", NULL, 0},
    {"a division that leaves a rest", JSON("\"D/2\"", "\"D/3\""), D "12:", "4 / 3 is not a whole number",
     NULL, 0},
    {"a division by nothing", JSON("\"D/2\"", "\"D/0\""), D "12:", "not a whole number", NULL, 0},
    {"a size beyond all", JSON("\"2*D\"", "\"1000000*D*1000000\""), D "4:", NULL, NULL, 0},
    {"a size of nothing", JSON("\"D\": 4", "\"D\": 0"), D "4:", "must be a whole number from 1", NULL, 0},
    {"a string for a number", JSON("1e-6", "\"1e-6\""), D "11:", "must be a number", NULL, 0},
    {"a number too large", JSON("1e-6", "1e999"), D "11:", "too large", NULL, 0},
    {"NaN", JSON("1e-6", "NaN"), D "11:", "not valid JSON", NULL, 0},
    {"a key twice", JSON("\"eps\": 1e-6", "\"eps\": 1e-6, \"eps\": 1e-5"), D "11:", "given twice", NULL, 0},
    {"an op without its operand", JSON("\"x\": \"v\", ", ""), D "14:", "needs the operand \"x\"", NULL, 0},
    {"a statement without a name", JSON("\"out\": \"u\", ", ""), D "11:", "needs \"out\"", NULL, 2},
    {"two statements in one", JSON("\"map\": \"x + v\"", "\"map\": \"x + v\", \"op\": \"add\""),
     D "15:", "one of", NULL, 0},
    {"a map that breaks off", JSON("x + v\"", "x + \""), D "15:", NULL, NULL, 0},
    {"parentheses that stay open", JSON("x + v\"", "(x + v\""), D "15:", "expected \")\"", NULL, 0},
    {"too many results", JSON("\"out\": \"logits\"", "\"out\": [\"logits\", \"more\"]"), D,
     "gives 1 value, named: 2", NULL, 0},
    {"a value named like a dimension", JSON("\"out\": \"u\"", "\"out\": \"D\""),
     D "11:", "is a dimension already", NULL, 2},
    {"an output that is not there", JSON("\"output\": \"logits\"", "\"output\": \"logit\""),
     D "24:", "did you mean \"logits\"?", NULL, 0},
    {"an output that is no row of numbers", JSON("\"output\": \"logits\"", "\"output\": \"tokens\""),
     D "24:", NULL, NULL, 0},
    {"another version", JSON("\"btc\": 1", "\"btc\": 2"), D "2:", "version 1", NULL, 0},
    {"no weights file", JSON("small.safetensors", "smal.safetensors"),
     "m/smal.safetensors: error: ", "did you mean \"small.safetensors\"?", NULL, 0},
    {"no weights", JSON("  \"weights\": \"small.safetensors\",\n", ""), D "19:", "names no \"weights\"", NULL,
     0},
    {"a tensor that nothing uses",
     JSON("silu(p) * q\" },\n        { \"out\": \"v\", \"op\": \"linear\", \"x\": \"v\", \"w\": \"@up[D, "
          "2]\" }",
          "silu(p) * q\" },\n        { \"out\": \"v\", \"op\": \"concat\", \"in\": [\"v\", \"v\"] }"),
     "m/small.safetensors: error: ", "does not use \"l.0.up\", \"l.1.up\"", NULL, 0},
    {"layers without end", JSON("\"layers\": 2", "\"layers\": 1000000"), D "21:", "from 1 to 4096", NULL, 0},
    {"an end id beyond the vocabulary", JSON("\"output\"", "\"eos\": 8, \"output\""), D, "from 0 to 7", NULL,
     0},
    {"no model", JSON("\"model\"", "\"modle\""), D, "did you mean \"model\"?", NULL, 0},
};

static void check_descriptions(void) {
    write_description();
    Ran good = run_btc("m/m.json --emit=stages");
    CHECK(good.status == 0 && !*good.err);
    for (size_t i = 0; i < sizeof DESCRIPTIONS / sizeof *DESCRIPTIONS; i++) {
        const Bad *b = &DESCRIPTIONS[i];
        write_description();
        edit("m", &b->edit);
        check_refused(b->title, "m/m.json -o out/x.so", run_btc("m/m.json -o out/x.so"),
                      b->errors ? b->errors : 1, b->where, b->what);
    }
}

int main(int argc, char **argv) {
    if (!kit_begin(argc, argv)) return 2;
    golden_begin("descriptions");
    check_descriptions();
    golden_end();
    if (have_case("hf-llama")) {
        golden_begin("safetensors");
        CHECK_BAD("hf-llama", SAFETENSORS);
        check_folders();
        golden_end();
        golden_begin("configs");
        CHECK_BAD("hf-llama", CONFIGS);
        golden_end();
    }
    if (have_case("rwkv7")) {
        golden_begin("pickles");
        check_pickles();
        golden_end();
    }
    return kit_end("diag");
}
