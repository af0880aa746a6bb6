/* Checkpoints of architectures that have no importer: advice for their owner. */
#include <ctype.h>
#include <string.h>

#include "import/import.h"

/* Architectures without an importer: what a description of one can begin with. The first row counts of which
 * a word is part of the name (small letters and digits only). No name in here is ever taken for a slip of the
 * pen. */
static const struct {
    const char *words, *start;
} OTHERS[] = {
    {"gateddelta kimi", "examples/descriptions/delta-rule.json"},
    {"retnet yoco lightning linearattention bailing simplegla",
     "what `btc import` writes for RetNet or GLA (scan.matrix)"},
    {"rwkv6 rwkv06 finch", "examples/descriptions/matrix-decay.json"},
    {"rwkv", "what `btc import` writes for RWKV in its author's files"},
    {"mlstm slstm", "examples/descriptions/mlstm.json"},
    {"gemmarecurrent", "what `btc import` writes for RecurrentGemma (its block \"recurrent\")"},
    {"samba", "what `btc import` writes for Mamba and for Mixtral"},
    {"mamba", "what `btc import` writes for Mamba"},
    {"hyena s5", "what `btc import` writes for Hyena (conv.long), or `btc explain scan.modal`"},
    {"moe mixtral deepseek gptoss switch phimoe dbrx grok jetmoe",
     "what `btc import` writes for Mixtral (linear.experts)"},
    {"lfm", "what `btc import` writes for LFM2"},
    {"gemma phi olmo granite gpt opt bloom falcon pythia starcoder stablelm cohere internlm baichuan qwen "
     "mistral "
     "llama llava mpt smollm minicpm exaone glm nemotron persimmon",
     "what `btc import` writes for Llama"},
};

char *import_bare_name(Arena *a, const char *name) {
    char *s = arena_strdup(a, name), *to = s;
    for (const char *p = name; *p; p++)
        if (isalnum((unsigned char)*p)) *to++ = (char)tolower((unsigned char)*p);
    *to = 0;
    return s;
}

const char *import_find_word(Arena *a, const char *list, bool (*is)(void *user, const char *word),
                             void *user) {
    for (const char *p = list; *p; p += *p == ' ') {
        size_t n = strcspn(p, " ");
        const char *word = arena_strndup(a, p, n);
        if (is(user, word)) return word;
        p += n;
    }
    return NULL;
}

static bool is_in(void *user, const char *word) {
    return strstr(user, word) != NULL;
}

int import_find_other(Arena *a, const char *arch, const char **word) {
    char *name = import_bare_name(a, arch);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if ((*word = import_find_word(a, OTHERS[i].words, is_in, name))) return (int)i;
    return -1;
}

/* Where no configuration names the architecture: by its tensors, else by what the folder is called. */
static const char *likely_name(const ImportCtx *x) {
    char *path = arena_strdup(x->a, x->path);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) path[--n] = 0;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void import_way_out(ImportCtx *x, const char *arch) {
    const char *word;
    int row = import_find_other(x->a, *arch ? arch : likely_name(x), &word);
    diag_note(
        x->d, (Loc){.file = x->path},
        "a description can be written for any decoder of the ops of `btc list ops` (docs/description.md), "
        "and --describe=FILE fills it in from config.json (docs/new-architecture.md); begin with %s",
        row >= 0 ? OTHERS[row].start
                 : "a file of examples/descriptions/, or what `btc import` writes for a like model");
}
