/* The position, ids and indices, views of them, constants and scalars wherever a description may say them:
 * in one model, each in a block of its own, compiled as step and as chunk, against the interpreter; and what
 * cannot be compiled, refused in a line.     test_operands [BTC [CONFORMANCE]] */
#include "kit.h"

typedef struct Block {
    const char *name, *in, *out, *ops;
} Block;

#define EMBED "\"op\": \"embed\", \"table\": \"@/model.embed_tokens.weight[V,D]\""
#define X_IS(map) "{\"out\": \"x\", \"map\": \"" map "\"}"
#define POSITION "{\"out\": \"p\", \"op\": \"position\"}, "
#define SLICE(out, x, start)                                                                                 \
    "{\"out\": \"" out "\", \"op\": \"slice\", \"x\": \"" x "\", \"start\": " #start ", \"size\": 1}, "
#define RESHAPE(out, x, shape)                                                                               \
    "{\"out\": \"" out "\", \"op\": \"reshape\", \"x\": \"" x "\", \"shape\": " shape "}, "
#define CONCAT(out, ...) "{\"out\": \"" out "\", \"op\": \"concat\", \"in\": [" __VA_ARGS__ "]}, "
#define ROPE(pos)                                                                                            \
    RESHAPE("q", "x", "[6,8]")                                                                               \
    "{\"out\": \"q\", \"op\": \"rope\", \"x\": \"q\", \"pos\": \"" pos "\"}, " RESHAPE("q", "q", "[48]")     \
        X_IS("x + q")

static const Block BLOCKS[] = {
    {"position_as_scalar", "\"x\"", "\"x\"", POSITION RESHAPE("p", "p", "[]") X_IS("x + 0.1*p")},
    {"position_sliced", "\"x\"", "\"x\"", POSITION SLICE("p", "p", 0) X_IS("x + 0.1*p")},
    {"position_reshaped_twice", "\"x\"", "\"x\"",
     POSITION RESHAPE("p", "p", "[1,1]") RESHAPE("p", "p", "[1]") X_IS("x + sin(p)")},
    {"learned_positions", "\"x\"", "\"x\"",
     POSITION RESHAPE("p", "p", "[]") "{\"out\": \"y\", \"ids\": \"p\", " EMBED "}, " X_IS("x + y")},
    {"position_chooses_expert", "\"x\"", "\"x\"",
     POSITION RESHAPE("w", "@/model.embed_tokens.weight[V,D]",
                      "[\"V\",\"D\",1]") "{\"out\": \"one\", \"map\": "
                                         "\"0*p + 1\"}, {\"out\": \"y\", \"op\": \"linear.experts\", \"x\": "
                                         "\"one\", \"index\": \"p\", \"w\": \"w\"}, " RESHAPE(
                                             "y", "y", "[48]") X_IS("x + y")},
    {"parameter_is_position", "\"x\", \"p\"", "\"x\"", X_IS("x + 0.1*p")},
    {"parameter_is_ids", "\"x\", \"tokens\"", "\"x\"",
     "{\"out\": \"y\", \"ids\": \"tokens\", " EMBED "}, " X_IS("x + y + 0.01*tokens")},
    {"positions_joined", "\"x\"", "\"x\"",
     POSITION CONCAT("c", "\"p\", \"p\"") CONCAT("c", "\"c\", \"p\"") SLICE("c", "c", 1) X_IS("x + 0.1*c")},
    {"joined_as_ids", "\"x\", \"tokens\"", "\"x\"",
     POSITION RESHAPE("t", "tokens", "[1]") CONCAT("c", "\"p\", \"t\", \"p\"") RESHAPE(
         "c", "c", "[3,1]") "{\"out\": \"c\", \"op\": \"slice\", \"x\": \"c\", \"axis\": 0, \"start\": 1, "
                            "\"size\": 1}, " RESHAPE("c", "c", "[]") "{\"out\": \"y\", \"ids\": \"c\", " EMBED
                                                                     "}, " X_IS("x + y")},
    {"joined_to_many", "\"x\"", "\"x\"",
     POSITION CONCAT("c", "\"p\", \"p\", \"p\", \"p\", \"p\", \"p\"")
         RESHAPE("y", "x", "[8,6]") "{\"out\": \"y\", \"map\": \"y + 0.1*c\"}, " RESHAPE("x", "y", "[48]")
             X_IS("0.9*x")},
    {"rope_by_view", "\"x\"", "\"x\"",
     POSITION RESHAPE("p", "p", "[1,1]") RESHAPE("p", "p", "[1]") ROPE("p")},
    {"rope_by_map", "\"x\"", "\"x\"", POSITION "{\"out\": \"p\", \"map\": \"2*p + 1\"}, " ROPE("p")},
    {"rope_by_ids", "\"x\", \"tokens\"", "\"x\"", RESHAPE("p", "tokens", "[1]") ROPE("p")},
    {"position_as_number", "\"x\"", "\"x\"",
     POSITION "{\"out\": \"p\", \"map\": \"0.01*p\"}, {\"out\": \"y\", \"op\": \"scan.diag\", \"a\": \"p\", "
              "\"b\": \"p\"},"
              "{\"out\": \"z\", \"op\": \"shift\", \"x\": \"p\"}, " X_IS("x + y + z")},
    {"position_chooses", "\"x\"", "\"x\"", POSITION X_IS("where(p < 3, x, -x)")},
    {"gives_indices", "\"x\"", "\"x\", \"i\"",
     "{\"out\": [\"v\", \"i\"], \"op\": \"topk\", \"x\": \"x\", \"k\": 4}, " X_IS("x + 0")},
    {"takes_indices", "\"x\", \"i\"", "\"x\"",
     SLICE("i", "i", 2) RESHAPE("i", "i", "[]") "{\"out\": \"y\", \"ids\": \"i\", " EMBED
                                                "}, " X_IS("x + y")},
    {"gives_position", "\"x\"", "\"x\", \"p\"", POSITION X_IS("x + 1")},
    {"takes_position", "\"x\", \"p\"", "\"x\"",
     RESHAPE("p", "p", "[]") "{\"out\": \"y\", \"ids\": \"p\", " EMBED "}, " X_IS("x + y")},
    {"same_three_times", "\"x\"", "\"x\"",
     RESHAPE("q", "x", "[6,8]") "{\"out\": \"y\", \"op\": \"attend\", \"q\": \"q\", \"k\": \"q\", \"v\": "
                                "\"q\"}, " RESHAPE("y", "y", "[48]") X_IS("x + y")},
    {"alibi", "\"x\"", "\"x\"",
     POSITION RESHAPE("q", "x", "[6,8]") RESHAPE(
         "p", "p",
         "[1,1]") "{\"out\": \"z\", \"op\": \"slice\", \"x\": \"q\", \"start\": 0, \"size\": 1}, {\"out\": "
                  "\"z\", \"map\": \"0*z\"}, "
                  "{\"out\": \"kp\", \"map\": \"p + z\"}, {\"out\": \"qp\", \"map\": \"0.1 + z\"}, " CONCAT(
                      "qq", "\"q\", \"qp\"")
                      CONCAT("kk", "\"q\", \"kp\"") "{\"out\": \"y\", \"op\": \"attend\", \"q\": \"qq\", "
                                                    "\"k\": \"kk\", \"v\": \"q\"}, " RESHAPE("y", "y", "[48]")
                                                        X_IS("x + y")},
    {"weight_joined", "\"x\"", "\"x\"",
     CONCAT("y", "\"x\", \"@/model.norm.weight[D]\"") "{\"out\": \"x\", \"op\": \"slice\", \"x\": \"y\", "
                                                      "\"start\": 20, \"size\": 48}"},
    {"of_constants", "\"x\"", "\"x\"",
     "{\"out\": \"y\", \"op\": \"linear\", \"x\": \"@/model.norm.weight[D]\", \"w\": "
     "\"@/lm_head.weight[V,D]\"}, "
     "{\"out\": \"y\", \"op\": \"slice\", \"x\": \"y\", \"start\": 3, \"size\": 48}, " X_IS("x + y")},
    {"constant_over_time", "\"x\"", "\"x\"",
     "{\"out\": \"c\", \"op\": \"per_token\", \"x\": \"@/model.norm.weight[D]\"}, {\"out\": \"a\", \"map\": "
     "\"sigmoid(x)\"}, {\"out\": \"y\", \"op\": \"scan.diag\", \"a\": \"a\", \"b\": \"c\"}, " X_IS(
         "x + 0.1*y")},
    {"scalar_of_rows", "\"x\"", "\"x\"",
     "{\"out\": \"s\", \"op\": \"reduce\", \"kind\": \"mean\", \"x\": \"x\"}, " RESHAPE("s", "s", "[]")
         X_IS("x*s")},
    {"all_of_five", "\"x\"", "\"x\"",
     RESHAPE("y", "x", "[1,2,3,4,2]") "{\"out\": \"y\", \"map\": \"y + 1\"}, " RESHAPE("x", "y", "[48]")
         X_IS("x")},
    {"nothing", "\"x\"", "\"x\"", ""},
    {"only_unused", "\"x\"", "\"x\"",
     POSITION "{\"out\": [\"v\", \"i\"], \"op\": \"topk\", \"x\": \"x\", \"k\": 2}, {\"out\": \"y\", "
              "\"map\": \"x + p\"}"},
};
enum { BLOCKS_COUNT = sizeof BLOCKS / sizeof *BLOCKS };

static const char HEAD[] =
    "{\"btc\": 1, \"name\": \"operands\", \"dims\": {\"V\": 67, \"D\": 48}, \"weights\": "
    "\"%s/model.safetensors\", \"ignore\": [\"*\"], \"input\": {\"tokens\": \"V\"}, "
    "\"context\": %d, ";
static const char BEGIN[] = "\"model\": [{\"out\": \"x\", \"ids\": \"tokens\", \"op\": \"embed\", \"table\": "
                            "\"@model.embed_tokens.weight[V,D]\"}, {\"out\": \"p\", \"op\": \"position\"}, ";
static const char END[] = "{\"out\": \"logits\", \"op\": \"linear\", \"x\": \"x\", \"w\": "
                          "\"@lm_head.weight[V,D]\"}], \"output\": \"logits\"}";

static void check_blocks(const char *m) {
    Text t = text_new(arena);
    text_add(&t, HEAD, m, 64);
    text_add(&t, "\"blocks\": {");
    for (int i = 0; i < BLOCKS_COUNT; i++)
        text_add(&t, "%s\"%s\": {\"in\": [%s], \"out\": [%s], \"ops\": [%s]}", i ? ",\n" : "", BLOCKS[i].name,
                 BLOCKS[i].in, BLOCKS[i].out, BLOCKS[i].ops);
    text_add(&t, "},\n%s{\"layers\": %d, \"pattern\": [", BEGIN, BLOCKS_COUNT);
    for (int i = 0; i < BLOCKS_COUNT; i++) text_add(&t, "%s\"%s\"", i ? ", " : "", BLOCKS[i].name);
    text_add(&t, "], \"prefix\": \"b{i}.\"}, %s", END);
    write_file(at("all.json"), t.s);
    static const char *const forms[] = {"step", "chunk --chunk=4", "chunk --cpu=x86-64-v2 --threads=2"};
    for (int f = 0; f < (check_amount() == CHECK_FEW ? 1 : 3); f++) {
        Run r = run("verify '%s' --input='%s/expected.safetensors' --form=%s", at("all.json"), m, forms[f]);
        if (!CHECK(r.status == 0 && strstr(r.out, "all agree"))) fprintf(stderr, "%s%s", r.out, r.err);
    }
}

/* A model of one block: refused with these words. */
static void refused(const char *m, int context, const char *model, const char *block, const char *words) {
    Text t = text_new(arena);
    text_add(&t, HEAD, m, context);
    text_add(&t, "\"blocks\": {\"b\": %s},\n%s%s {\"layers\": 1, \"pattern\": [\"b\"], \"prefix\": \"\"}, %s",
             block, BEGIN, model, END);
    write_file(at("one.json"), t.s);
    Run r = run("'%s' -o '%s'", at("one.json"), at("x.so"));
    if (!CHECK(r.status == 1 && strstr(r.err, words) && strstr(r.err, "one.json:")))
        fprintf(stderr, "%s", r.err);
}

static void check_refused(const char *m) {
    refused(m, 68, "",
            "{\"ops\": [" POSITION RESHAPE("p", "p", "[]") "{\"out\": \"y\", \"ids\": \"p\", " EMBED
                                                           "}, " X_IS("x + y") "]}",
            "the context must be 67 or less");
    refused(m, 64, "",
            "{\"ops\": [{\"out\": [\"v\", \"i\"], \"op\": \"topk\", \"x\": \"x\", \"k\": 1}, " RESHAPE(
                "w", "@/model.norm.weight[D]",
                "[6,8,1]") "{\"out\": \"y\", \"op\": \"linear.experts\", \"x\": \"v\", "
                           "\"index\": \"i\", \"w\": \"w\"}]}",
            "index goes up to 47, but there are only 6");
    refused(m, 64, "{\"out\": \"c\", \"map\": \"2*@model.norm.weight[D]\"},",
            "{\"in\": [\"x\", \"c\"], \"out\": [\"x\"], \"ops\": [" X_IS("x + c") "]}", "per_token");
    refused(m, 64, "", "{\"ops\": [{\"out\": \"x\", \"map\": \"2*@/model.norm.weight[D]\"}]}", "per_token");
}

/* Where nothing else bounds a sequence, the positions that a table has do. */
static void check_longest(const char *m) {
    Text t = text_new(arena);
    text_add(&t, HEAD, m, 64);
    text_add(&t,
             "%s{\"out\": \"p\", \"op\": \"reshape\", \"x\": \"p\", \"shape\": []}, {\"out\": \"y\", "
             "\"ids\": \"p\", " EMBED "}, " X_IS("x + y") ", %s",
             BEGIN, END);
    write_file(at("long.json"), t.s);
    CHECK(run("'%s' -o '%s'", at("long.json"), at("long")).status == 0);
    CHECK(system(arena_printf(arena, "'%s' --info | grep -q 'context  *64$'", at("long"))) == 0);
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    if (have("hf-llama")) {
        const char *m = model("hf-llama");
        check_blocks(m), check_refused(m), check_longest(m);
    }
    return finish("operands");
}
