/* Descriptions bound to a configuration (--describe): the example gives the module that the importer gives, flags
 * choose statements, and every mistake is named. argv[1]: the folder of the conformance cases. */
#include "kit.h"

static char *import_with(Diag *d, const char *path, const char *describe, WeightSet *w) {
    *d = diag_new(a, NULL);
    return import_model(d, a, path, w, &(ImportOptions){.describe = describe});
}

static const char *module_text(Diag *d, const char *text, WeightSet *w) {
    Module *m = text ? desc_load(d, a, "filled in", text, strlen(text), w) : NULL;
    return m ? ir_print_module(a, m) : d->log.s;
}

/* Both ways of reading one checkpoint give the same module. */
static void test_example(const char *cases) {
    const char *path = arena_printf(a, "%s/hf-llama", cases);
    Diag d, other = diag_new(a, NULL);
    WeightSet w;
    if (!CHECK(weights_open(&other, a, path, &w))) return;
    const char *imported = module_text(&other, import_model(&other, a, path, &w, &(ImportOptions){0}), &w);
    const char *bound = module_text(&d, import_with(&d, path, "examples/bound/llama.json", &w), &w);
    CHECK(d.errors == 0 && d.warnings == 0);
    if (!CHECK(!strcmp(imported, bound))) fprintf(stderr, "%s\n%s\n", imported, bound);
    weights_close(&w);
}

#define FRAME "'btc':1,'input':{'tokens':'V'},'output':'x'"
#define CONFIG "'vocab_size':8,'hidden_size':4,'eos_token_id':[3,5],'kinds':['a','b'],'flag':true"

static const struct {
    const char *config, *description, *says;
} ROWS[] = {
    /* what is filled in */
    {CONFIG, "'dims':{'V':{'config':'vocab_size'}},'config':{'ignore':['hidden_size','kinds','flag']}",
     "\"V\": 8"},
    {CONFIG, "'dims':{'V':{'config':'vocab_size'}},'config':{'ignore':['hidden_size','kinds','flag']}",
     "\"eos\": [3, 5]"},
    {CONFIG,
     "'dims':{'V':{'config':'vocab_size'}},'eos':1,'config':{'ignore':['hidden_size','kinds','flag']}",
     "\"eos\": 1"},
    {"'a':{'b':{'c':9}}", "'dims':{'V':{'config':'a.b.c'}}", "\"V\": 9"},
    {"'a':null", "'dims':{'W':2,'V':{'config':'a','otherwise':'2*W'}}", "\"V\": \"2*W\""},
    {"'kinds':['a','b']",
     "'dims':{'V':8},'model':[{'layers':2,'prefix':'','pattern':{'config':'kinds','names':{'a':'one','b':'"
     "two'}}}]",
     "[\"one\", \"two\"]"},
    {"'flag':true",
     "'dims':{'V':8},'model':[{'if':{'config':'flag'},'out':'yes','map':'1'},{'unless':{'config':'flag'},'"
     "out':'no','map':'1'}]",
     "\"out\": \"yes\""},
    {"'flag':false",
     "'dims':{'V':8},'model':[{'if':{'config':'flag'},'out':'yes','map':'1'},{'unless':{'config':'flag'},'"
     "out':'no','map':'1'}]",
     "\"out\": \"no\""},
    /* mistakes */
    {"'sizes':8", "'dims':{'V':{'config':'size'}}",
     "size: the key is missing, and FILE, dims.V, has no \"otherwise\" for it"},
    {CONFIG, "'dims':{'V':{'config':'vocab_size'}}",
     "hidden_size: this key is not known, and it might change the model's numbers"},
    {"'a':{'b':8,'c':true}", "'dims':{'V':{'config':'a.b'}}", "a.c: this key is not known"},
    {"'a':8", "'dims':{'V':{'config':'a.b','otherwise':8}}", "a: must be an object, got the number 8"},
    {"'v':8", "'dims':{'V':{'config':'v','othervise':8}}", "dims.V: unknown key \"othervise\""},
    {"'v':8", "'dims':{'V':{'config':8}}", "dims.V: \"config\" must name a key of config.json"},
    {"'kinds':['a','x']",
     "'dims':{'V':8},'model':[{'layers':2,'pattern':{'config':'kinds','names':{'a':'one'}}}]",
     "kinds: is the string \"x\"; FILE knows: \"a\""},
    {"'act':'relu'", "'dims':{'V':8},'config':{'expect':{'act':['silu',null]}}",
     "act: FILE holds for one of [\"silu\",null] only, this is the string \"relu\""},
    {"'v':8", "'dims':{'V':{'config':'v'}},'config':{'expect':{'act':'silu'}}",
     "act: FILE holds for \"silu\" only, the key is absent"},
    {"'v':8", "'dims':{'V':{'config':'v'}},'config':{'expected':{}}", "config: unknown key \"expected\""},
    {"'v':8", "'dims':{'V':{'config':'v'}},'config':{'ignore':[8]}",
     "config.ignore: must hold names of keys"},
    {"'v':8", "'dims':{'V':8},'model':[{'if':true,'out':'x','map':'1'}],'config':{'ignore':['v']}",
     "model[0].if: must be {\"config\": KEY}"},
    {"'v':8", "'dims':{'V':8},'model':[{'if':{'config':'v'},'out':'x','map':'1'}]",
     "model[0].if: the key must be true or false, it is the number 8"},
    {"'quantization_config':{'bits':4}", "'dims':{'V':8}", "the checkpoint is quantised"},
};

static void test_rows(void) {
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const char *file = arena_printf(a, "%s/bound.json", temp);
        const char *model = strstr(ROWS[i].description, "'model'") ? "" : ",'model':[]";
        put_config("config.json", arena_printf(a, "{%s}", ROWS[i].config));
        put_config("bound.json", arena_printf(a, "{" FRAME ",%s%s}", ROWS[i].description, model));
        Diag d;
        WeightSet w = {.arena = a, .name = "w"};
        const char *text = import_with(&d, temp, file, &w);
        Text says = text_new(a); /* FILE stands for the path of the description */
        for (const char *p = ROWS[i].says; *p;) {
            bool is_file = !strncmp(p, "FILE", 4);
            text_add_n(&says, is_file ? file : p, is_file ? strlen(file) : 1);
            p += is_file ? 4 : 1;
        }
        CHECK_STR_CONTAINS(text ? text : d.log.s, says.s);
    }
}

/* Such a file alone is no model. */
static void test_alone(void) {
    Diag d = diag_new(a, NULL);
    WeightSet w = {.arena = a, .name = "w"};
    const char *text = "{\"btc\":1,\"config\":{},\"input\":{\"tokens\":8},\"model\":[],\"output\":\"x\"}";
    CHECK(!desc_load(&d, a, "mine.json", text, strlen(text), &w));
    CHECK_STR_CONTAINS(d.log.s, "config: this description takes its values from a checkpoint");
}

int main(int argc, char **argv) {
    a = arena_new();
    test_example(argc > 1 ? argv[1] : "tests/conformance");
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    test_rows();
    test_alone();
    unlink(arena_printf(a, "%s/config.json", temp));
    unlink(arena_printf(a, "%s/bound.json", temp));
    rmdir(temp);
    arena_free(a);
    return check_report("import/bind");
}
