/* Descriptions: what is read, and what every kind of mistake is told. The texts are written with ' for ". */
#include "../tools/check.h"
#include "desc/desc.h"
#include "desc/json.h"
#include "op.h"
#include "weight_name.h"

static Arena *a;

static char *quoted(const char *s) {
    char *t = arena_strdup(a, s);
    for (char *p = t; *p; p++)
        if (*p == '\'') *p = '"';
    return t;
}

static Module *load(Diag *d, const char *json, const WeightSet *w) {
    char *t = quoted(json);
    *d = diag_new(a, NULL);
    return desc_load(d, a, "m.json", t, strlen(t), w);
}

/* ---- mistakes ---- */

#define HEAD "{'btc':1,'dims':{'V':8,'D':4},'input':{'tokens':'V'},"
#define EMBED "{'out':'x','op':'embed','ids':'tokens','table':'@emb[V, D]'}"
#define LAST "{'out':'logits','op':'linear','x':'x','w':'@head[V, D]'}"
/* A model with one more statement in the middle, at model[1]. */
#define WITH(stmt) HEAD "'model':[" EMBED "," stmt "," LAST "],'output':'logits'}"
/* A model with one block of one statement. */
#define BLOCK(stmt)                                                                                          \
    HEAD "'blocks':{'b':{'ops':[" stmt "]}},'model':[" EMBED                                                 \
         ",{'layers':2,'pattern':['b'],'prefix':'l.{i}.'}," LAST "],'output':'logits'}"

static const struct {
    const char *json, *message;
} MISTAKES[] = {
    /* JSON */
    {"{'btc':1,", "is not valid JSON: the text ends too early"},
    {"{'btc':1,\n 'x' 2}", "m.json:2:6: error: is not valid JSON"},
    {"[1]", "a description is an object"},
    {"{'btc':1,'btc':1}", "the key \"btc\" is given twice"},
    {"{'btc':1e999}", "btc: the number is too large"},
    {"{'btc':1,'name':'a\\u0000b'}", "\\u0000"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
     "nested more than 64 deep"},
    /* top level */
    {"{'btc':2,'input':{'tokens':4},'model':[]}", "this btc reads version 1"},
    {"{'input':{'tokens':4},'model':[],'output':'x'}", "the key \"btc\""},
    {HEAD "'modle':[]}", "unknown key \"modle\" (did you mean \"model\"?)"},
    {"{'btc':1,'model':[]}", "input: must be {\"tokens\": VOCABULARY}"},
    {"{'btc':1,'input':{'tokens':4,'features':2},'model':[]}", "input: must be"},
    {"{'btc':1,'dims':{'D':0},'input':{'tokens':4}}", "dims.D: must be a whole number from 1"},
    {"{'btc':1,'dims':{'E':'2*D','D':4},'input':{'tokens':4}}", "dims.E, column 3: unknown dimension \"D\""},
    {"{'btc':1,'dims':{'D':7,'E':'D/2'},'input':{'tokens':4}}", "7 / 2 is not a whole number"},
    {HEAD "'text':'utf8','model':[" EMBED "," LAST "],'output':'logits'}", "text: must be \"bytes\""},
    {HEAD "'bos':[1,2],'model':[" EMBED "," LAST "],'output':'logits'}", "bos: must be one id"},
    {HEAD "'eos':[1,99],'model':[" EMBED "," LAST "],'output':'logits'}",
     "eos[1]: must be a whole number from 0 to 7"},
    {HEAD "'name':'a b','model':[" EMBED "," LAST "],'output':'logits'}", "name: must be a name"},
    {HEAD "'model':[" EMBED "," LAST "],'output':'logit'}",
     "output: unknown value \"logit\" (did you mean \"logits\"?)"},
    {HEAD "'model':[" EMBED ",{'out':'w','map':'@q[D]'}],'output':'w'}",
     "output: must be one row of numbers per token"},
    {HEAD "'model':[" EMBED "," LAST "],'output':'logits','expose':{'f':'hh'}}",
     "expose.f: unknown value \"hh\""},
    {HEAD "'model':[" EMBED ",{'out':'x','op':'shift','x':'x','state':'p'}," LAST
          "],'output':'logits','transposed':['p']}",
     "transposed: no op keeps a matrix as its state \"p\""},
    /* statements */
    {WITH("{'out':'y','op':'linaer','x':'x','w':'@w[4,4]'}"),
     "model[1].op: unknown op \"linaer\" (did you mean \"linear\"?)"},
    {WITH("{'out':'y','op':'linear','x':'x','weigth':'@w[4,4]','w':'@w[4,4]'}"),
     "model[1]: unknown key \"weigth\""},
    {WITH("{'out':'y','op':'linear','x':'x'}"), "linear needs the operand \"w\""},
    {WITH("{'out':'y','op':'linear','x':'xx','w':'@w[4,4]'}"),
     "model[1].x: unknown value \"xx\" (did you mean \"x\"?)"},
    {WITH("{'out':'y','op':'linear','x':'x','w':'@w[4,5]'}"),
     "model[1]: linear: dimension i is 4 in operand x but 5 in operand w"},
    {WITH("{'out':['y','z'],'op':'linear','x':'x','w':'@w[4,4]'}"),
     "model[1].out: linear gives 1 value, named: 2"},
    {WITH("{'out':'y','op':'norm.rms','x':'x'}"), "norm.rms needs \"eps\""},
    {WITH("{'out':'y','op':'norm.rms','x':'x','eps':'small'}"), "model[1].eps: must be a number"},
    {WITH("{'out':'y','op':'norm.l2','x':'x','eps':1e-6,'mode':'outside'}"),
     "must be one of inside|floor, got \"outside\""},
    {WITH("{'out':'y','op':'norm.rms','x':'x','eps':-1e-5}"), "model[1].eps: must be at least 0, got -1e-05"},
    {WITH("{'out':'y','op':'norm.rms','x':'x','eps':1e300}"), "model[1].eps: 1e+300 is too large: models"},
    {WITH("{'out':'y','op':'norm.rms','x':'x','eps':1e-42}"), "model[1].eps: 1e-42 is too small: models"},
    {WITH("{'out':'y','op':'constant','values':[1,1e39,2,3],'shape':[4]}"),
     "model[1].values: number 1: 1e+39 is too large"},
    {WITH("{'out':'q','op':'reshape','x':'x','shape':[2,2]},{'out':'y','op':'attend','q':'q','k':'q','v':'q'"
          ",'window':2,'scale':1e20,'softcap':1e-20}"),
     "attend: scale / softcap: 1e+40 is too large"},
    {WITH("{'out':'q','op':'reshape','x':'x','shape':[2,2]},{'out':'p','op':'position'},{'out':'y','op':"
          "'rope','x':'q','pos':'p','theta':-10}"),
     "model[3].theta: must be at least 1, got -10"},
    {WITH("{'out':'y','op':'call'}"), "blocks are called by"},
    {WITH("{'out':'y','op':'weight','name':'w','shape':[4]}"), "a weight is written \"@name[shape]\""},
    {WITH("{'op':'shift','x':'x'}"), "a statement needs \"out\""},
    {WITH("{'out':'V','map':'x'}"), "\"V\" is a dimension already"},
    {WITH("{'out':'x','op':'shift','x':'x','map':'x'}"), "a statement has one of"},
    {WITH("7"), "model[1]: a statement is an object"},
    {WITH("{'out':['p','q'],'split':'x','sizes':[1,2]}"),
     "2 sizes with the sum 3, but 2 names and a last axis of 4"},
    {WITH("{'out':'y','op':'shift','x':'x','state':['a','b']}"), "shift keeps 1 state, named: 2"},
    {WITH("{'out':'q','op':'reshape','x':'x','shape':[2,2]},{'out':'y','op':'attend','q':'q','k':'q','v':'q'"
          "}"),
     "attend without a window needs the longest sequence"},
    {WITH("{'out':'y','op':'reverse','x':'x'}"),
     "reverse needs whole sequences, and so the longest one: \"context\" at the top level"},
    /* maps and weights */
    {WITH("{'out':'y','map':'x + silo(x)'}"),
     "model[1].map, column 5: unknown function \"silo\" (did you mean \"silu\"?)"},
    {WITH("{'out':'y','map':'x * gate'}"), "model[1].map, column 5: unknown value \"gate\""},
    {WITH("{'out':'y','map':'maximum(x)'}"), "maximum takes 2 arguments, found 1"},
    {WITH("{'out':'y','map':'(x + 1'}"), "expected \")\", but the text ends here"},
    {WITH("{'out':'y','map':'x + '}"), "expected a value, but the text ends here"},
    {WITH("{'out':'h','map':'tanh(x + h)'}"),
     "unknown value \"h\" here: it is computed further down; what it was for"},
    {WITH("{'out':'y','op':'linear','x':'h','w':'@u[4,4]'},{'out':'h','map':'y'}"),
     "as in GRU and LSTM, is no op"},
    {"{'btc':2,'model':[]}", "btc: this btc reads version 1 of the format, the file has 2"},
    {WITH("{'out':'y','map':'x ? 2'}"), "unexpected \"?\"; where(c, a, b) serves"},
    {WITH("{'out':'y','map':'x ** 2'}"), "unexpected \"**\"; x^2 serves"},
    {WITH("{'out':'y','map':'x && x'}"), "unexpected \"&&\"; a * b, of comparisons serves"},
    {WITH("{'out':'y','map':'x < 1 < 2'}"), "unexpected \"<\": one comparison at a time"},
    {WITH("{'out':'y','map':'x = 1'}"), "unexpected \"=\"; == serves"},
    {WITH("{'out':'y','map':'sign(x)'}"), "there is no function \"sign\"; (x > 0) - (x < 0) serves"},
    {WITH("{'out':'y','map':'softmax(x)'}"), "is no function of single numbers but an op"},
    {WITH("{'out':'y','map':'clamp(x, 1)'}"), "clamp takes 3 arguments, found 2"},
    {WITH("{'out':'y','map':'min(x)'}"), "min takes 2 arguments, found 1"},
    {WITH("{'out':'y','map':'mul2(x)'}"), "unknown function \"mul2\" (did you mean \"mul\"?)"},
    {WITH("{'out':'y','map':'cap(x)'}"), "unknown function \"cap\""},
    {WITH("{'out':'y','map':'1/0 * x'}"), "not a finite number"},
    {WITH("{'out':'y','map':'x + @b[5]'}"), "does not fit beside"},
    {WITH("{'out':'y','map':'x * @b'}"), "the shape of \"b\" is not known without the weights"},
    {WITH("{'out':'y','map':'x * @b[D'}"), "expected \"]\""},
    {WITH("{'out':'y','map':'x * @b[2*Q]'}"), "unknown dimension \"Q\""},
    {WITH("{'out':'y','op':'linear','x':'x','w':'@e.{0..0}.w[4,4]'}"), "{0..0} stands for no tensors"},
    /* blocks and layers */
    {BLOCK("{'out':'y','op':'shift','x':'x2'}"), "blocks.b.ops[0].x: unknown value \"x2\""},
    {HEAD "'blocks':{'b':{'in':['x','z'],'ops':[]}},'model':[" EMBED
          ",{'layers':1,'pattern':['b'],'prefix':''}," LAST "],'output':'logits'}",
     "block \"b\" takes the value \"z\", which is unknown here"},
    {HEAD "'blocks':{'b':{'out':['y'],'ops':[]}},'model':[" EMBED
          ",{'layers':1,'pattern':['b'],'prefix':''}," LAST "],'output':'logits'}",
     "blocks.b.out: unknown value \"y\""},
    {HEAD "'model':[" EMBED ",{'layers':1,'pattern':['c'],'prefix':''}," LAST "],'output':'logits'}",
     "model[1].pattern[0]: unknown block \"c\""},
    {HEAD "'blocks':{'b':{'ops':[{'layers':1,'pattern':['b'],'prefix':''}]}},'model':[" EMBED
          ",{'layers':1,'pattern':['b'],'prefix':''}," LAST "],'output':'logits'}",
     "a statement has one of"},
    {HEAD "'blocks':{'b':{'ops':[]}},'model':[" EMBED ",{'layers':1,'pattern':['b']}," LAST
          "],'output':'logits'}",
     "layers need a prefix"},
};

static void test_mistakes(void) {
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        Diag d;
        CHECK(load(&d, MISTAKES[i].json, NULL) == NULL);
        CHECK_STR_CONTAINS(d.log.s, MISTAKES[i].message);
    }
}

/* One mistake, one message: what depends on it stays silent. */
static void test_no_cascade(void) {
    Diag d;
    load(&d, WITH("{'out':'y','op':'linear','x':'xx','w':'@w[4,4]'},{'out':'x','map':'x + y'}"), NULL);
    CHECK(d.errors == 1);
    load(&d, BLOCK("{'out':'x','map':'x + nothing'}"), NULL);
    CHECK(d.errors == 1);
}

static void test_places(void) {
    Diag d;
    load(&d, HEAD "\n'model':[\n" EMBED ",\n  {'out':'x','map':'x + 2*gate'},\n" LAST "],'output':'logits'}",
         NULL);
    CHECK_STR_CONTAINS(d.log.s, "m.json:4:27: error: model[1].map, column 7: unknown value \"gate\"");
}

/* ---- what is read ---- */

static int count_ops(const Func *f, const char *name) {
    int n = 0;
    OPS_OF (f->body, op) n += strcmp(op->def->name, name) == 0;
    return n;
}

static void test_module(void) {
    Diag d;
    Module *m = load(
        &d,
        "{'btc':1,'name':'tiny','dims':{'V':8,'D':'2*2'},'input':{'tokens':'V'},'context':16,'text':'bytes',"
        "'bos':0,'eos':[1,2],'ignore':['*.freq','old'],"
        "'blocks':{'b':{'ops':[{'out':'y','op':'shift','x':'x','state':'past'},"
        "{'out':'x','map':'x + 2*3*y*@s[D] - @s'}]}},"
        "'model':[" EMBED ",{'layers':3,'pattern':'b','prefix':'l.{i}.','from':4}," LAST
        "],'output':'logits','expose':{'last':'x'}}",
        NULL);
    if (!CHECK(m != NULL)) {
        fputs(d.log.s, stderr);
        return;
    }
    CHECK(strcmp(m->name, "tiny") == 0);
    CHECK(strcmp(attr_find(m->attrs, "kind")->s, "lm") == 0);
    CHECK(attr_find(m->attrs, "vocab")->i == 8 && attr_find(m->attrs, "context")->i == 16);
    CHECK(attr_find(m->attrs, "bos")->i == 0 && attr_find(m->attrs, "eos")->ints[1] == 2);
    CHECK_STR_CONTAINS(attr_find(m->attrs, "ignore")->s, "*.freq old");
    CHECK(attr_find(m->attrs, "expose.last") != NULL);
    Func *f = ir_func_find(m, "main"), *b = ir_func_find(m, "b");
    CHECK(count_ops(f, "call") == 3 && f->nresults == 1 && strcmp(f->result_names[0], "logits") == 0);
    CHECK(count_ops(b, "weight") == 1);   /* one op per tensor */
    CHECK(count_ops(b, "constant") == 1); /* 2*3 is one number */
    CHECK(b->nstates == 1 && strcmp(b->states[0].name, "past") == 0);
    int64_t index = 0;
    OPS_OF (f->body, op) {
        if (strcmp(op->def->name, "call") != 0) continue;
        CHECK_STR_CONTAINS(attr_str(op, "prefix", ""), arena_printf(a, "l.%d.", (int)index + 4));
        CHECK(attr_int(op, "index", -1) == index++);
    }
    CHECK(ir_verify(&d, m));
}

/* -x*2 + 6 < x, evaluated: precedence and sign. */
static void test_precedence(void) {
    Diag d;
    Module *m = load(&d, WITH("{'out':'x','map':'x - x - -x*2 / (1 + 3) < 0.5 * x'}"), NULL);
    if (!CHECK(m != NULL)) return;
    char *text = ir_print_module(a, m);
    CHECK_STR_CONTAINS(text, "less");
    CHECK(count_ops(ir_func_find(m, "main"), "sub") == 2 && count_ops(ir_func_find(m, "main"), "neg") == 1);
    Module *again = ir_parse(&d, a, "m.btir", text);
    CHECK(again && strcmp(ir_print_module(a, again), text) == 0);
}

/* Other spellings give the same ops. */
static void test_spellings(void) {
    static const char *const same[][2] = {
        {"min(x, 2) + max(x, y)", "minimum(x, 2) + maximum(x, y)"},
        {"x > y", "less(y, x)"},
        {"x >= y", "less_equal(y, x)"},
        {"x <= y + 1", "less_equal(x, y + 1)"},
        {"x == y", "equal(x, y)"},
        {"x != y", "1 - equal(x, y)"},
        {"(x > 0) - (x < 0)", "less(0, x) - less(x, 0)"},
        {"x^2", "power(x, 2)"},
        {"-x^2", "-(power(x, 2))"},
        {"2*x^y^3", "2*power(x, power(y, 3))"},
        {"x^-2 * 2^-3", "power(x, -2) * 0.125"},
        {"pow(x, y) / ln(y)", "power(x, y) / log(y)"},
        {"clamp(x, -1, y)", "minimum(maximum(x, -1), y)"},
        {"ceil(x)", "-floor(-x)"},
        {"relu2(x)", "square(relu(x))"},
        {"relu6(2*x + y)", "minimum(relu(2*x + y), 6)"},
        {"quick_gelu(x) - mish(y)", "x * sigmoid(1.702*x) - y * tanh(softplus(y))"},
        {"leaky_relu(x) + hardswish(x)", "maximum(x, 0.01*x) + x * minimum(relu(x + 3), 6) / 6"},
        {"clamp(clamp(y, 1, x), y, 3)", "minimum(maximum(minimum(maximum(y, 1), x), y), 3)"},
        {"swish(x) + logistic(y)", "silu(x) + sigmoid(y)"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *text[2];
        for (int k = 0; k < 2; k++) {
            Diag d;
            Module *m =
                load(&d, arena_printf(a, WITH("{'out':'y','map':'2*x'},{'out':'x','map':'%s'}"), same[i][k]),
                     NULL);
            if (!CHECK(m != NULL)) return;
            text[k] = ir_print_module(a, m);
        }
        if (!CHECK(!strcmp(text[0], text[1]))) fprintf(stderr, "%s\n%s%s", same[i][0], text[0], text[1]);
    }
}

/* ---- weights ---- */

static WeightSet set_of(RawTensor *t, int n) {
    return (WeightSet){.arena = a, .tensors = t, .n = n, .cap = n, .name = "w.safetensors"};
}

static bool check_weights(Diag *d, const char *json, RawTensor *t, int n) {
    WeightSet w = set_of(t, n);
    Module *m = load(d, json, &w);
    return m && desc_check_weights(d, a, m, &w);
}

#define TENSOR(name_, dt_, rank_, ...)                                                                       \
    { .name = name_, .dt = dt_, .rank = rank_, .dim = {__VA_ARGS__}, .file = "w.safetensors" }

static void test_weights(void) {
    static const char layers[] =
        HEAD "'blocks':{'b':{'ops':[{'out':'x','op':'linear','x':'x','w':'@proj'},"
             "{'out':'x','map':'x * @scale[D]'}]}},'model':[" EMBED
             ",{'layers':2,'pattern':['b'],'prefix':'l.{i}.'}," LAST "],'output':'logits'%s}";
    const char *json = arena_printf(a, layers, ""), *lax = arena_printf(a, layers, ",'ignore':['l.*.freq']");
    /* In the order of their names, as in every set. */
    RawTensor good[] = {
        TENSOR("emb", DT_F32, 2, 8, 4),      TENSOR("head", DT_BF16, 2, 8, 4),
        TENSOR("l.0.proj", DT_F16, 2, 4, 4), TENSOR("l.0.scale", DT_F32, 3, 1, 1, 4),
        TENSOR("l.1.proj", DT_F32, 2, 4, 4), TENSOR("l.1.scale", DT_F32, 1, 4),
        TENSOR("l.1.z.freq", DT_F32, 1, 2),
    };
    Diag d;
    CHECK(check_weights(&d, json, good, 6));
    CHECK(good[3].used);
    CHECK(!check_weights(&d, json, good, 7));
    CHECK_STR_CONTAINS(d.log.s, "the model does not use \"l.1.z.freq\"");
    CHECK(check_weights(&d, lax, good, 7));
    CHECK(!check_weights(&d, json, good, 5));
    CHECK_STR_CONTAINS(d.log.s, "has no tensor \"l.1.scale\" ([4] is expected)\n");
    good[5].dim[0] = 5;
    CHECK(!check_weights(&d, json, good, 6));
    CHECK_STR_CONTAINS(d.log.s, "tensor \"l.1.scale\" is f32[5], expected the shape [4]");
    good[5].dim[0] = 4, good[1].dt = DT_I8;
    CHECK(!check_weights(&d, json, good, 6));
    CHECK_STR_CONTAINS(d.log.s, "tensor \"head\" holds i8, expected floating-point numbers");
}

static void test_stacked(void) {
    RawTensor t[] = {TENSOR("e.0.w", DT_F32, 2, 4, 4), TENSOR("e.1.w", DT_F32, 2, 4, 4),
                     TENSOR("emb", DT_F32, 2, 8, 4), TENSOR("head", DT_F32, 2, 8, 4)};
    static const char stack[] =
        WITH("{'out':['p','i'],'op':'topk','x':'x','k':1},"
             "{'out':'y','op':'linear.experts','x':'x','index':'i','w':'@e.{0..2}.w'},"
             "{'out':'x','op':'combine','x':'y','w':'p'}");
    Diag d;
    CHECK(check_weights(&d, stack, t, 4));
    CHECK(t[0].used && t[1].used);
    CHECK(weight_count("e.{0..2}.w") == 2 && strcmp(weight_part(a, "e.{3..5}.w", 1), "e.4.w") == 0);
    CHECK(strcmp(weight_name(a, "l.0.", "/top"), "top") == 0);
}

/* ---- printing ---- */

static void test_print(void) {
    cJSON *n = cJSON_Parse("{\"a\":[1,2.5,1e-05],\"b\":{\"c\":\"d\\n\\\\\"},\"e\":[{\"x\":true},null]}");
    char *once = json_print(a, n);
    cJSON *again = cJSON_Parse(once);
    CHECK(again && cJSON_Compare(n, again, true));
    CHECK_STR_CONTAINS(once, "\"a\": [1, 2.5, 1e-05]");
    cJSON_Delete(n);
    cJSON_Delete(again);
    CHECK(strcmp(json_number(a, 0.1), "0.1") == 0 && strcmp(json_number(a, 64), "64") == 0);
    CHECK(strcmp(json_number(a, 1.0 / 3), "0.3333333333333333") == 0);
}

static void test_schema(void) {
    char *text = desc_schema(a);
    cJSON *n = cJSON_Parse(text);
    CHECK(n != NULL);
    CHECK_STR_CONTAINS(text, "\"const\": \"scan.matrix\"");
    CHECK(strcmp(text, desc_schema(a)) == 0);
    cJSON_Delete(n);
}

int main(void) {
    a = arena_new();
    test_mistakes();
    test_no_cascade();
    test_places();
    test_module();
    test_precedence();
    test_spellings();
    test_weights();
    test_stacked();
    test_print();
    test_schema();
    arena_free(a);
    return check_report("desc");
}
