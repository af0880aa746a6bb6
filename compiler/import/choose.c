/* Which importer reads a checkpoint; and where none does, what its owner can do instead. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "import/import.h"

#define IMPORTER(id) &importer_##id,
const Importer *const IMPORTERS[] = {
#include "importers.def"
};
#undef IMPORTER
const int IMPORTER_COUNT = sizeof IMPORTERS / sizeof *IMPORTERS;

/* Architectures without an importer: what a description of one can begin with. The first row counts of which
 * a word is part of the name (small letters and digits only). No name in here is ever taken for a slip of the
 * pen. */
static const struct {
    const char *words, *start;
} OTHERS[] = {
    {"gateddeltanet deltanet gateddelta comba kimilinear qwen3next qwen35 olmohybrid",
     "examples/descriptions/gated-deltanet.json"},
    {"retnet yoco lightning minimax linearattention bailing gla gsa hgrn simplegla",
     "examples/descriptions/retnet-fla.json"},
    {"rwkv6 rwkv06 finch", "examples/descriptions/rwkv6.json"},
    {"rwkv5 rwkv05 eagle", "examples/descriptions/rwkv5.json"},
    {"rwkv7 rwkv07", "what `btc import` writes for RWKV-7 in its author's files"},
    {"rwkv", "examples/descriptions/rwkv4.json"},
    {"xlstm mlstm slstm", "examples/descriptions/hf-xlstm.json"},
    {"griffin hawk mingru minlstm gemmarecurrent",
     "what `btc import` writes for RecurrentGemma (its block \"recurrent\")"},
    {"jamba samba zamba1", "what `btc import` writes for Mamba and for Mixtral"},
    {"bamba zamba nemotronh falconh1 granitemoehybrid granitehybrid mamba3 codestral",
     "what `btc import` writes for Mamba-2 and for Llama"},
    {"mamba", "what `btc import` writes for Mamba"},
    {"stripedhyena hyena h3 s4 s4d s5",
     "what `btc import` writes for Hyena (conv.long), or `btc explain scan.modal`"},
    {"moe mixtral deepseek gptoss switch phimoe dbrx grok jetmoe",
     "what `btc import` writes for Mixtral (linear.experts)"},
    {"lfm", "what `btc import` writes for Llama, and `btc explain conv.short`"},
    {"gemma phi olmo granite gpt opt bloom falcon pythia starcoder stablelm cohere internlm baichuan qwen "
     "mistral "
     "llama llava mpt smollm minicpm exaone glm zaya nemotron persimmon",
     "what `btc import` writes for Llama"},
};

/* Small letters and digits of a name. */
static char *bare(Arena *a, const char *name) {
    char *s = arena_strdup(a, name), *to = s;
    for (const char *p = name; *p; p++)
        if (isalnum((unsigned char)*p)) *to++ = (char)tolower((unsigned char)*p);
    *to = 0;
    return s;
}

/* The first word of a list for which `is` holds, or NULL. */
static const char *find_word(Arena *a, const char *list, bool (*is)(void *user, const char *word),
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

/* The row of OTHERS for a name, and the word of it that counted; -1: none. */
static int find_other(Arena *a, const char *arch, const char **word) {
    char *name = bare(a, arch);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if ((*word = find_word(a, OTHERS[i].words, is_in, name))) return (int)i;
    return -1;
}

static bool equals(void *user, const char *word) {
    return strcasecmp(user, word) == 0;
}

static const Importer *find_by_name(Arena *a, const char *arch) {
    if (!arch || !*arch) return NULL;
    char *name = arena_strdup(a, arch);
    for (int i = 0; i < IMPORTER_COUNT; i++)
        if (equals(name, IMPORTERS[i]->name) || find_word(a, IMPORTERS[i]->accepts, equals, name))
            return IMPORTERS[i];
    return NULL;
}

static const char *known_importers(Arena *a) {
    Text t = text_new(a);
    for (int i = 0; i < IMPORTER_COUNT; i++) text_add(&t, "%s%s", i ? ", " : "", IMPORTERS[i]->name);
    return t.s;
}

/* A word that importers accept, and whether it is `name` with a slip of the pen: other signs between the
 * letters, or one letter off that is neither the first nor a digit, and nothing that another model is called.
 */
typedef struct Slip {
    Arena *a;
    const char *name, *found;
} Slip;

static bool same_digits(const char *x, const char *y) {
    for (;; x++, y++) {
        while (*x && !isdigit((unsigned char)*x)) x++;
        while (*y && !isdigit((unsigned char)*y)) y++;
        if (*x != *y || !*x) return *x == *y;
    }
}

static bool is_slip(void *user, const char *word) {
    Slip *s = user;
    const char *other = NULL;
    char *x = bare(s->a, s->name), *y = bare(s->a, word);
    bool near = strcmp(x, y) == 0;
    if (!near && *x == *y && same_digits(x, y) && strlen(y) > 3 && diag_distance(x, y) == 1)
        near = find_other(s->a, s->name, &other) < 0 || strstr(y, other);
    if (near) s->found = word;
    return near;
}

static const char *did_you_mean(Arena *a, const char *arch) {
    Slip s = {a, arch, NULL};
    for (int i = 0; i < IMPORTER_COUNT && !s.found; i++)
        if (!is_slip(&s, IMPORTERS[i]->name)) find_word(a, IMPORTERS[i]->accepts, is_slip, &s);
    return s.found ? arena_printf(a, " (did you mean \"%s\"?)", s.found) : "";
}

/* Where no configuration names the architecture: by its tensors, else by what the folder is called. */
static const char *likely_name(const ImportCtx *x) {
    static const char *const signs[][2] = {{"blocks.0.att.time_maa_w1", "rwkv6"},
                                           {"blocks.0.att.time_faaaa", "rwkv5"},
                                           {"blocks.0.att.time_first", "rwkv4"}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (has_tensor(x, signs[i][0])) return signs[i][1];
    char *path = arena_strdup(x->a, x->path);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';) path[--n] = 0;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void import_way_out(ImportCtx *x, const char *arch) {
    bool recurrent = has_tensor(x, "weight_hh_l0") || has_tensor(x, "rnn.weight_hh_l0");
    const char *word;
    int row = find_other(x->a, *arch ? arch : likely_name(x), &word);
    if (recurrent)
        diag_note(
            x->d, (Loc){.file = x->path},
            "a matrix that multiplies the state of the token before (GRU, LSTM) is nothing that a "
            "description can say either: what is computed from the token before goes through shift, conv.* "
            "or scan.*");
    else
        diag_note(
            x->d, (Loc){.file = x->path},
            "any decoder of the ops of `btc list ops` can be described by hand: docs/description.md is the "
            "language; begin with %s",
            row >= 0 ? OTHERS[row].start
                     : "a file of examples/descriptions/, or what `btc import` writes for a like model");
}

static void no_importer(ImportCtx *x, const char *arch, bool given) {
    if (given) x->d->usage = true;
    import_error(x, "no importer for the architecture \"%s\"%s; there are: %s", arch,
                 did_you_mean(x->a, arch), known_importers(x->a));
    import_way_out(x, arch);
}

static const char *text_of(const cJSON *n) {
    return cJSON_IsString(n) ? n->valuestring : NULL;
}

const Importer *choose_importer(ImportCtx *x, const char *arch) {
    const cJSON *list = json_get(x->cfg.node, "architectures");
    const char *name = arch ? arch : text_of(cJSON_IsArray(list) ? list->child : list);
    if (!name) name = text_of(json_get(x->cfg.node, "model_type"));
    if (name) {
        const Importer *imp = find_by_name(x->a, name);
        if (!imp) no_importer(x, name, arch != NULL);
        return x->arch = name, imp;
    }
    for (int i = 0; i < IMPORTER_COUNT; i++)
        if (IMPORTERS[i]->recognise && IMPORTERS[i]->recognise(x))
            return x->arch = IMPORTERS[i]->name, IMPORTERS[i];
    import_error(x, "%s, and the names of the tensors tell no architecture; give it with --arch=NAME: %s",
                 x->cfg.node ? "config.json has neither \"architectures\" nor \"model_type\""
                             : "there is no config.json beside the weights",
                 known_importers(x->a));
    import_way_out(x, "");
    return NULL;
}
