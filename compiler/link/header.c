/* Writes model.h: everything that a host needs to know about a model, in one file. */
#include <ctype.h>
#include <string.h>

#include "artifact_spec.h"
#include "runtime_blob.h"

static char *upper(Arena *a, const char *name) {
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++) *p = (char)toupper((unsigned char)*p);
    return s;
}

static void add_constants(Text *t, const ArtifactSpec *s, const char *up) {
    const btc_info *i = &s->info;
    const struct {
        const char *name;
        int64_t value;
        const char *comment;
    } rows[] = {
        {"KIND", i->kind, i->kind == BTC_TOKENS ? "BTC_TOKENS" : "BTC_FEATURES"},
        {"VOCAB", i->vocab, "token ids are below this"},
        {"INPUT_WIDTH", i->input_width, "values per input row"},
        {"OUTPUT_WIDTH", i->output_width, "f32 values per output row"},
        {"CHUNK", i->chunk, "rows that prefill runs at once"},
        {"MAX_BATCH", i->max_batch, "sequences in one step"},
        {"CONTEXT", i->context, "longest sequence; 0: no limit"},
        {"WHOLE", i->whole, "1: reads whole sequences only, no steps"},
        {"STATE_BYTES", i->state_bytes, "of one sequence"},
        {"WORK_BYTES", s->work_bytes, s->work_bytes ? "of a call" : "0: ask work_bytes(threads)"},
        {"LAYERS", i->layers, ""},
        {"PARAMETERS", i->parameters, ""},
        {"BOS", i->bos, "-1: none"},
        {"EOS", i->eos, "-1: none"},
        {"EOS_COUNT", i->eos_count, "ids that end a sequence"},
        {"TEXT_BYTES", i->text == BTC_TEXT_BYTES, "1: token ids are bytes of text"},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        text_add(t, rows[k].value < 0 ? "#define %s_%s (%lld)" : "#define %s_%s %lld", up, rows[k].name,
                 (long long)rows[k].value);
        if (*rows[k].comment) text_add(t, " /* %s */", rows[k].comment);
        text_add(t, "\n");
    }
    text_add(t, "#define %s_EOS_IDS {", up);
    for (int64_t k = 0; k < i->eos_count; k++) text_add(t, "%s%lld", k ? ", " : "", (long long)i->eos_ids[k]);
    text_add(t, i->eos_count ? "} /* all of them, an initialiser */\n" : "0} /* there is none */\n");
    text_add(t, "#define %s_FINGERPRINT 0x%016llxu\n", up, (unsigned long long)i->fingerprint);
}

static void add_slots(Text *t, const btc_info *i) {
    text_add(t, "\n/* The state block: byte offset, name, type, layout (info->slots has the same).\n");
    for (int64_t k = 0; k < i->slot_count; k++) {
        const btc_slot *s = &i->slots[k];
        text_add(t, " * %10lld  %s  %s %s\n", (long long)s->offset, s->name, s->dtype, s->layout);
    }
    text_add(t, " */\n");
}

/* What a host of another artefact's header would get wrong: sizes, and bytes that it keeps. */
static void add_check(Text *t, const char *n, const char *up) {
    static const char *const facts[][2] = {
        {"fingerprint", "FINGERPRINT"},
        {"state_bytes", "STATE_BYTES"},
        {"kind", "KIND"},
        {"vocab", "VOCAB"},
        {"input_width", "INPUT_WIDTH"},
        {"output_width", "OUTPUT_WIDTH"},
        {"chunk", "CHUNK"},
        {"max_batch", "MAX_BATCH"},
        {"context", "CONTEXT"},
        {"whole", "WHOLE"},
    };
    text_add(
        t,
        "/* Whether this header describes the artefact that gave the table. It does not when the model was\n"
        " * compiled anew, from other weights, for another machine or with other options. */\n"
        "static inline int %s_fits(const btc_api *api) {\n    return api != 0",
        n);
    for (size_t k = 0; k < sizeof facts / sizeof *facts; k++)
        text_add(t, " &&\n           api->info->%s == %s_%s", facts[k][0], up, facts[k][1]);
    text_add(t, ";\n}\n");
}

/* Where the sizes of all memory are known. */
static void add_static_example(Text *t, const btc_info *i, const char *up) {
    const char *type = i->kind == BTC_TOKENS ? "int32_t" : "float", *n = i->name;
    const char *call =
        i->whole ? "api->prefill_all(&model, state, work, 1, next, 1, out);   rows of a whole sequence"
                 : "api->step(&model, states, 1, work, 1, next, out);   one row after the other";
    text_add(t,
             "\n/* Example (C11; link with the .o or .a; memcpy and memset are all that it needs):\n"
             " *\n"
             " *     static _Alignas(64) unsigned char state[%s_STATE_BYTES], work[%s_WORK_BYTES];\n"
             " *     const btc_api *api = %s_btc_query(BTC_ABI_VERSION);\n"
             " *     btc_model model;\n"
             " *     float out[%s_OUTPUT_WIDTH];\n"
             "%s"
             " *     %s next[%s_INPUT_WIDTH] = {0};\n"
             " *     if (!%s_fits(api) || api->open(&model, NULL, 0)) return 1;\n"
             " *     api->init(&model, state);\n"
             " *     api->work_init(&model, work, sizeof work);\n"
             " *     %s\n"
             " */\n",
             up, up, n, up, i->whole ? "" : " *     void *states[] = {state};\n", type, up, n, call);
}

static void add_example(Text *t, const btc_info *i, const char *up) {
    bool tokens = i->kind == BTC_TOKENS;
    const char *type = tokens ? "int32_t" : "float", *n = i->name;
    text_add(t,
             "\n/* Example (C11; link with the .o or .a and -fopenmp, unless it was compiled with "
             "--threads=none; with a\n"
             " * .so: btc_query_fn *query = dlsym(so, \"btc_query\")):\n"
             " *\n"
             " *     const btc_api *api = %s_btc_query(BTC_ABI_VERSION);\n"
             " *     if (!%s_fits(api)) return puts(\"another model, or compiled otherwise\"), 1;\n"
             " *     btc_model model;\n"
             " *     btc_status s = api->open(&model, NULL, 0);\n"
             " *     if (s != BTC_OK) return puts(api->status_text(s)), 1;\n"
             " *     void *state = aligned_alloc(64, %s_STATE_BYTES);\n"
             " *     size_t work_bytes = api->work_bytes(1);\n"
             " *     void *work = aligned_alloc(64, work_bytes);\n"
             " *     float out[%s_OUTPUT_WIDTH];\n"
             " *     %s prompt[3 * %s_INPUT_WIDTH] = {0};\n"
             " *     api->init(&model, state);\n"
             " *     api->work_init(&model, work, work_bytes);\n"
             " *     s = api->prefill(&model, state, work, 1, prompt, 3, out);   %s\n",
             n, n, up, up, type, up, i->whole ? "the last of three rows" : "the first three rows");
    if (!i->whole)
        text_add(t,
                 " *     %s next[%s_INPUT_WIDTH] = {0};\n"
                 " *     s = api->step(&model, &state, 1, work, 1, next, out);       one more\n",
                 type, up);
    text_add(t, " *     api->close(&model);\n"
                " */\n");
}

bool artifact_header(Diag *d, Arena *a, const ArtifactSpec *s, const char *file) {
    const char *up = upper(a, s->info.name), *n = s->info.name;
    Text t = text_new(a);
    text_add(
        &t,
        "/* %s: a model compiled by btc. First its constants, then the interface of all compiled models\n"
        " * (btc.h, the same text in every such header), at the end an example. */\n"
        "#ifndef BTC_MODEL_%s_H\n#define BTC_MODEL_%s_H\n\n",
        n, up, up);
    add_constants(&t, s, up);
    add_slots(&t, &s->info);
    text_add(&t, "\n");
    text_add_n(&t, runtime_header_text, strlen(runtime_header_text));
    text_add(&t,
             "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
             "const btc_api *%s_btc_query(uint32_t version); /* btc_query of the .o and the .a */\n"
             "#ifdef __cplusplus\n}\n#endif\n\n",
             n);
    add_check(&t, n, up);
    (s->work_bytes ? add_static_example : add_example)(&t, &s->info, up);
    text_add(&t, "\n#endif\n");

    OutFile o;
    if (!out_open(d, a, file, &o)) return false;
    if (out_write(&o, t.s, t.n)) return out_commit(&o, false);
    out_abandon(&o);
    return false;
}
