/* What a checkpoint holds is used or named: heads beside embeddings, ids that end a sequence, tensors that
 * the model does not read. */
#include <math.h>
#include <stdlib.h>

#include "kit.h"

static Diag d;
static WeightSet w;

static RawTensor *find(RawTensor *t, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(t[i].name, name)) return &t[i];
    return NULL;
}

static void fill(RawTensor *t, const void *data, DType dt) {
    t->dt = dt, t->data = data, t->bytes = dtype_size(dt) * (size_t)raw_tensor_count(t);
}

/* The description loads, uses or ignores every tensor, and names these tables. */
static void expect(const char *text, const char *table, const char *head, int warnings) {
    if (!CHECK(text != NULL)) {
        fputs(d.log.s, stderr);
        return;
    }
    CHECK_STR_CONTAINS(text, arena_printf(a, "\"table\": \"@%s[", table));
    CHECK_STR_CONTAINS(text, arena_printf(a, "\"w\": \"@%s[", head));
    Module *m = desc_load(&d, a, "g.json", text, strlen(text), &w);
    if (!CHECK(m && desc_check_weights(&d, a, m, &w) && d.warnings == warnings)) fputs(d.log.s, stderr);
}

/* ---- heads ---- */

#define ORIGINAL "{'d_model':4,'n_layer':1,'vocab_size':7,'ssm_cfg':{'d_state':3}"
#define EMBEDDING "backbone.embedding.weight"

/* Both stored: the same numbers (of any type) are one tensor, others are two, whatever the flag says. */
static void heads_are_compared(void) {
    static float e[32], h[32];
    static uint16_t narrow[32];
    size_t n = sizeof MAMBA / sizeof *MAMBA;
    for (int i = 0; i < 32; i++) {
        e[i] = h[i] = (float)(i - 9) / 8;
        dtype_store(DT_BF16, narrow, i, e[i]);
    }
    RawTensor *embedding = find(MAMBA, n, EMBEDDING), *head = find(MAMBA, n, "lm_head.weight");
    fill(embedding, e, DT_F32);
    fill(head, h, DT_F32);
    expect(IMPORT(&d, ORIGINAL "}", MAMBA, NULL, &w), EMBEDDING, EMBEDDING, 0);
    fill(head, narrow, DT_BF16);
    expect(IMPORT(&d, ORIGINAL "}", MAMBA, NULL, &w), EMBEDDING, EMBEDDING, 0);
    expect(IMPORT(&d, ORIGINAL ",'tie_embeddings':false}", MAMBA, NULL, &w), EMBEDDING, "lm_head.weight", 0);
    fill(head, h, DT_F32);
    for (int i = 0; i < 32; i += 31) {
        h[i] = nextafterf(h[i], 9);
        expect(IMPORT(&d, ORIGINAL ",'tie_embeddings':true}", MAMBA, NULL, &w), EMBEDDING, "lm_head.weight",
               1);
        CHECK_STR_CONTAINS(d.log.s, "lm_head.weight: tie_embeddings is true, but this tensor differs from "
                                    "backbone.embedding.weight: it is used as it is");
        expect(IMPORT(&d, ORIGINAL "}", MAMBA, NULL, &w), EMBEDDING, "lm_head.weight", 1);
        CHECK_STR_CONTAINS(d.log.s, "tie_embeddings is true by default");
        h[i] = e[i];
    }
    e[3] = h[3] = NAN; /* the same bits are the same tensor */
    expect(IMPORT(&d, ORIGINAL "}", MAMBA, NULL, &w), EMBEDDING, EMBEDDING, 0);
    fill(embedding, NULL, DT_F32), fill(head, NULL, DT_F32);
    embedding->bytes = head->bytes = 0;
}

/* One of the two stored: with a flag it serves for both, without one it does not. */
static void one_table_serves_for_both(void) {
    RawTensor only_head[sizeof LLAMA / sizeof *LLAMA];
    memcpy(only_head, LLAMA, sizeof LLAMA);
    /* sorted by name: what was the first is now before "model." */
    only_head[0].name = "lm_head.weight";
    expect(IMPORT(&d, "{" SIZES "}", only_head, NULL, &w), "lm_head.weight", "lm_head.weight", 0);
    expect(IMPORT(&d, "{" SIZES "}", LLAMA, NULL, &w), "model.embed_tokens.weight",
           "model.embed_tokens.weight", 0);
    static const char *const untied =
        "{'model_type':'llama','vocab_size':8,'hidden_size':4,'num_hidden_layers'"
        ":1,'num_attention_heads':1,'head_dim':64,'intermediate_size':6}";
    for (int i = 0; i < 2; i++) {
        RawTensor *t = i ? only_head : LLAMA;
        char *text = import_made_up(&d, untied, t, sizeof LLAMA / sizeof *LLAMA, NULL, &w);
        Module *m = CHECK(text != NULL) ? desc_load(&d, a, "g.json", text, strlen(text), &w) : NULL;
        CHECK(m && !desc_check_weights(&d, a, m, &w));
        CHECK_STR_CONTAINS(d.log.s,
                           i ? "no tensor \"model.embed_tokens.weight\"" : "no tensor \"lm_head.weight\"");
    }
    CHECK(IMPORT(&d, "{'d_model':4,'n_layer':1,'vocab_size':9}", MAMBA, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "vocab_size: is 9, but backbone.embedding.weight has 8 rows only");
}

/* ---- ids ---- */

static const struct {
    const char *config, *generation; /* members of config.json and of generation_config.json, or NULL */
    const char *bos, *eos;           /* in the description; NULL: absent */
    int warnings, notes;
    const char *message;
} IDS[] = {
    {"'eos_token_id':2", NULL, NULL, "2", 0, 0, NULL},
    {"'eos_token_id':[2,5]", NULL, NULL, "[2, 5]", 0, 0, NULL},
    {"'eos_token_id':[5,2,5,2]", NULL, NULL, "[5, 2]", 0, 0, NULL},
    {"'eos_token_id':[2]", NULL, NULL, "2", 0, 0, NULL},
    {"'eos_token_id':[]", NULL, NULL, NULL, 0, 0, NULL},
    {"'eos_token_id':null,'bos_token_id':null", NULL, NULL, NULL, 0, 0, NULL},
    {"'eos_token_id':[99,2,-1,5]", NULL, NULL, "[2, 5]", 2, 0,
     "eos_token_id: 99 is no id of the vocabulary (0 to 7); it is left out"},
    {"'eos_token_id':8", NULL, NULL, NULL, 1, 0, "eos_token_id: 8 is no id"},
    {"'eos_token_id':7", NULL, NULL, "7", 0, 0, NULL},
    {"'eos_token_id':[1.5,'2',[3],true,6]", NULL, NULL, "6", 4, 0, "the string \"2\" is no id"},
    {"'bos_token_id':1", NULL, "1", NULL, 0, 0, NULL},
    {"'bos_token_id':[1]", NULL, "1", NULL, 0, 0, NULL},
    {"'bos_token_id':[3,1]", NULL, "3", NULL, 1, 0, "the first of the list is used"},
    {"'bos_token_id':99,'eos_token_id':3", NULL, NULL, "3", 1, 0, "bos_token_id: 99 is no id"},
    {"'eos_token_id':2", "'eos_token_id':[2,5],'bos_token_id':1", "1", "[2, 5]", 0, 1,
     "goes before that of config.json"},
    {"'eos_token_id':2", "'eos_token_id':2,'do_sample':true", NULL, "2", 0, 0, NULL},
    {"'eos_token_id':[2,3]", "'temperature':0.5", NULL, "[2, 3]", 0, 0, NULL},
    {"'eos_token_id':[2,3]", "'eos_token_id':null", NULL, "[2, 3]", 0, 0, NULL},
    {"'eos_token_id':2", "'eos_token_id':[99,4]", NULL, "4", 1, 1, "generation_config.json:1:"},
};

static void ids_reach_the_description(void) {
    for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++) {
        put_config("generation_config.json",
                   IDS[i].generation ? arena_printf(a, "{%s}", IDS[i].generation) : NULL);
        char *text = IMPORT(&d, arena_printf(a, "{" SIZES ",%s}", IDS[i].config), LLAMA, NULL, &w);
        int notes = 0;
        for (const char *s = d.log.s; (s = strstr(s, " note: ")); s++) notes++;
        const char *const keys[] = {"bos", "eos"}, *const values[] = {IDS[i].bos, IDS[i].eos};
        if (!CHECK(text && d.warnings == IDS[i].warnings && notes == IDS[i].notes))
            fprintf(stderr, "%s:\n%s", IDS[i].config, d.log.s);
        for (int k = 0; text && k < 2; k++) {
            const char *key = arena_printf(a, "\"%s\": %s", keys[k], values[k] ? values[k] : "");
            CHECK((strstr(text, key) != NULL) == (values[k] != NULL));
        }
        if (IDS[i].message) CHECK_STR_CONTAINS(d.log.s, IDS[i].message);
    }
    put_config("generation_config.json", "{'eos_token_id':");
    CHECK(IMPORT(&d, "{" SIZES "}", LLAMA, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "generation_config.json:1:");
    put_config("generation_config.json", NULL);
}

/* ---- tensors without use ---- */

static void unused_tensors_are_named(void) {
    size_t n = sizeof LLAMA / sizeof *LLAMA;
    RawTensor more[sizeof LLAMA / sizeof *LLAMA + 1];
    memcpy(more, LLAMA, sizeof LLAMA);
    /* sorts behind all the others */
    more[n] = (RawTensor){.name = "model.rotary_emb.inv_freq",
                          .dt = DT_COUNT,
                          .type = "F8_E4M3",
                          .rank = 1,
                          .dim = {32},
                          .file = "w"};
    expect(IMPORT(&d, "{" SIZES "}", more, NULL, &w), "model.embed_tokens.weight",
           "model.embed_tokens.weight", 1);
    CHECK_STR_CONTAINS(d.log.s, "model.rotary_emb.inv_freq: is not used: rotary frequencies follow from");

    /* A bias that no flag announces. */
    more[n].name = "model.zz.bias";
    char *text = IMPORT(&d, "{" SIZES ",'attention_bias':false}", more, NULL, &w);
    Module *m = CHECK(text != NULL) ? desc_load(&d, a, "g.json", text, strlen(text), &w) : NULL;
    CHECK(m && !desc_check_weights(&d, a, m, &w));
    CHECK_STR_CONTAINS(d.log.s, "the model does not use \"model.zz.bias\"");

    /* A type that cannot be read, in use. */
    more[n].name = "model.rotary_emb.inv_freq";
    RawTensor *norm = find(more, n, "model.norm.weight");
    norm->dt = DT_COUNT, norm->type = "F8_E5M2";
    text = IMPORT(&d, "{" SIZES "}", more, NULL, &w);
    m = CHECK(text != NULL) ? desc_load(&d, a, "g.json", text, strlen(text), &w) : NULL;
    CHECK(m && !desc_check_weights(&d, a, m, &w));
    CHECK_STR_CONTAINS(
        d.log.s,
        "tensor \"model.norm.weight\" holds F8_E5M2, expected floating-point numbers (f32, f64, f16, bf16)");
}

int main(void) {
    a = arena_new();
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    heads_are_compared();
    one_table_serves_for_both();
    ids_reach_the_description();
    unused_tensors_are_named();
    put_config("config.json", NULL);
    rmdir(temp);
    arena_free(a);
    return check_report("stored");
}
