/* The words that `btc explain` knows besides ops: keys of a description, functions of a map, parameters of a tuning
 * file, status codes. Each text comes from the place where the word is declared, if there is one. */
#include "words.h"

#include <ctype.h>
#include <string.h>

#include "link/runtime_blob.h"

/* Parts of a description (docs/description.md). */
static const struct {
    const char *word, *text, *example;
} PARTS[] = {
    {"map",
     "A statement: elementwise arithmetic in a string. Numbers, values, @weights, dimensions; + - * / ^, "
     "unary -, "
     "parentheses, comparisons < <= > >= == != (1 or 0), and functions: those that `btc list ops` shows as "
     "elementwise, also min, max, pow, ln, clamp(x, lo, hi), ceil.",
     "{ \"out\": \"x\", \"map\": \"x + silu(g) * (y - 0.5*@scale[D])\" }"},
    {"split", "A statement: cuts a value along its last axis.",
     "{ \"out\": [\"k\", \"v\"], \"split\": \"kv\", \"sizes\": [\"K\", \"K\"] }"},
    {"sizes", "Of a split: how long the parts are. Sizes are numbers, dimensions, or arithmetic over them.",
     "\"sizes\": [\"E\", \"E + 2*G*N\"]"},
    {"op", "A statement: an op with its operands and attributes by name; `btc list ops` shows all.",
     "{ \"out\": \"y\", \"op\": \"linear\", \"x\": \"x\", \"w\": \"@proj.weight[D, D]\" }"},
    {"out", "The name or the names that a statement gives its results. A name may be given again.",
     "\"out\": [\"k\", \"v\"]"},
    {"state",
     "Names of the state slots of a statement, whose op remembers something from token to token (`btc "
     "explain OP` "
     "says what). States begin as 0 and belong to a sequence.",
     "\"state\": [\"keys\", \"values\"]"},
    {"layers",
     "In \"model\": calls blocks. Call i uses block pattern[i mod length]; in prefix, which stands before "
     "the names "
     "of their weights, {i} is replaced by from + i (from: by default the number of layers called so far).",
     "{ \"layers\": 24, \"pattern\": [\"rec\", \"attention\"], \"prefix\": \"layers.{i}.\" }"},
    {"pattern", "Of layers: the blocks that they call in turn.",
     "\"pattern\": [\"rec\", \"rec\", \"attention\"]"},
    {"prefix", "Of layers: what stands before the names of their weights.", "\"prefix\": \"layers.{i}.\""},
    {"from", "Of layers: the first number for {i} in prefix.", "\"from\": 12"},
    {"blocks",
     "Statements that layers share: a name, what goes in (\"in\", by default [\"x\"]) and out, and ops.",
     "\"blocks\": { \"mlp\": { \"in\": [\"x\"], \"out\": [\"x\"], \"ops\": [..] } }"},
    {"ops", "Of a block: its statements. (`btc list ops` shows what they may use.)", "\"ops\": [..]"},
    {"model", "The statements and layers from input to output.", "\"model\": [..]"},
    {"input", "What comes in: ids, the value `tokens`, or rows of numbers, the value `input`.",
     "\"input\": { \"tokens\": \"V\" }    or    { \"features\": 80 }"},
    {"output", "The value of \"model\" that comes out: one row of numbers for each token.",
     "\"output\": \"logits\""},
    {"dims", "Named sizes; one may be written in terms of those above it.",
     "\"dims\": { \"D\": 768, \"E\": \"2*D\" }"},
    {"weights", "Files or folders of tensors, relative to the description.",
     "\"weights\": \"model.safetensors\""},
    {"context",
     "The longest sequence; needed by attention without a window, and where whole sequences are read.",
     "\"context\": 4096"},
    {"text", "What token ids are; \"bytes\" lets programs read and write text.", "\"text\": \"bytes\""},
    {"bos", "The id that begins a sequence.", "\"bos\": 1"},
    {"eos", "The id that ends a sequence, or a list of them; programs stop there with --stop-at-eos.",
     "\"eos\": [2, 45]"},
    {"expose", "Further values of \"model\" that btc verify compares.", "\"expose\": { \"filter\": \"h\" }"},
    {"transposed", "States that btc verify shows with their last two axes exchanged.",
     "\"transposed\": [\"S\"]"},
    {"ignore", "Patterns of tensors that the file holds and no statement uses; they may be of any type.",
     "\"ignore\": [\"*.inv_freq\"]"},
    {"quant", "How matrices are stored, by patterns of tensor names; the first that matches counts.",
     "\"quant\": { \"*.out_proj\": \"q8\", \"embedding\": \"q6\", \"head\": \"bf16\" }"},
    {"name", "Of the model, in symbols and headers; letters, digits and _.", "\"name\": \"my_model\""},
    {"comment", "For readers, anywhere; no effect.", "\"comment\": \"as in the paper, eq. 3\""},
    {"@",
     "Before the name of a tensor: a weight, with its shape in brackets if you want it checked. In a block "
     "the "
     "layer's prefix comes before the name; @/name is without. {0..E} stacks tensors.",
     "\"w\": \"@experts.{0..E}.w1.weight[E, F, D]\""},
    {"clamp", "In a map: clamp(x, lo, hi) is min(max(x, lo), hi).",
     "{ \"out\": \"y\", \"map\": \"clamp(x, -5, 5)\" }"},
    {"ceil", "In a map: ceil(x) is -floor(-x).", "{ \"out\": \"y\", \"map\": \"ceil(x)\" }"},
};

/* Other spellings, of functions and signs: the op that does it. */
static const char *const SPELLINGS[][2] = {
    {"min", "minimum"}, {"max", "maximum"},      {"pow", "power"}, {"^", "power"},       {"ln", "log"},
    {"swish", "silu"},  {"<", "less"},           {">", "less"},    {"<=", "less_equal"}, {">=", "less_equal"},
    {"==", "equal"},    {"!=", "equal"},         {"+", "add"},     {"-", "sub"},         {"*", "mul"},
    {"/", "div"},       {"logistic", "sigmoid"},
};

/* Words of other frameworks. */
static const char *const SERVES[][2] = {
    {"matmul", "linear"},
    {"dense", "linear"},
    {"gemm", "linear"},
    {"attention", "attend"},
    {"sdpa", "attend"},
    {"rmsnorm", "norm.rms"},
    {"layernorm", "norm.layer"},
    {"l2norm", "norm.l2"},
    {"rms_norm", "norm.rms"},
    {"layer_norm", "norm.layer"},
    {"embedding", "embed"},
    {"conv1d", "conv.short"},
    {"rotary", "rope"},
    {"view", "reshape"},
    {"permute", "transpose"},
    {"cat", "concat"},
    {"sum", "reduce"},
    {"mean", "reduce"},
    {"groupnorm", "norm.layer"},
    {"arange", "position"},
    {"moe", "linear.experts"},
    {"scan", "scan.diag"},
    {"ssm", "scan.expand"},
    {"rnn", "scan.diag"},
    {"linear_attention", "scan.matrix"},
    {"delta_rule", "scan.matrix"},
    {"gate", "map"},
    {"param", "@"},
    {"parameter", "@"},
    {"weight_name", "@"},
};

const char *word_spelling(const char *word) {
    char bare[64];
    size_t n = strcspn(word, "( ");
    snprintf(bare, sizeof bare, "%.*s", (int)(n ? n : strlen(word)), word);
    for (size_t i = 0; i < sizeof SPELLINGS / sizeof *SPELLINGS; i++)
        if (!strcmp(SPELLINGS[i][0], bare)) return SPELLINGS[i][1];
    return NULL;
}

const char *word_serves(const char *word) {
    for (size_t i = 0; i < sizeof SERVES / sizeof *SERVES; i++)
        if (!strcasecmp(SERVES[i][0], word)) return SERVES[i][1];
    return NULL;
}

/* The lines of btc.h that name an identifier of it ("BTC_E_RANGE", "eos_count"). */
static bool explain_header(Arena *a, const char *word) {
    size_t n = strlen(word);
    bool found = false;
    if (strncmp(word, "BTC_", 4)) return false;
    for (const char *p = runtime_header_text, *end; *p; p = *end ? end + 1 : end) {
        end = strchrnul(p, '\n');
        const char *at = memmem(p, (size_t)(end - p), word, n);
        bool whole = at && !isalnum((unsigned char)at[n]) && at[n] != '_' &&
                     (at == p || !isalnum((unsigned char)at[-1]));
        if (!whole) continue;
        if (!found) printf("%s, in the header of a model (runtime/btc.h)\n", word);
        printf("  %s\n", arena_strndup(a, p + strspn(p, " "), (size_t)(end - p) - strspn(p, " ")));
        found = true;
    }
    return found;
}

static bool explain_part(const char *word) {
    const char *name = *word == '@' ? "@" : word;
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        if (strcmp(PARTS[i].word, name)) continue;
        printf("%s (of a description)\n", PARTS[i].word);
        printf("%*s", 13, ""), print_wrapped(13, PARTS[i].text);
        printf("  %-11s", "example"), print_wrapped(13, PARTS[i].example);
        return true;
    }
    return false;
}

static bool explain_tuning(Arena *a, const char *word) {
    for (int i = 0; i < TUNING_COUNT; i++) {
        const TuningField *f = &TUNING_FIELDS[i];
        if (strcmp(f->name, word)) continue;
        printf("%s (a number of a tuning file; btc list tuning)\n", word);
        printf("%*s", 13, ""), print_wrapped(13, f->doc);
        printf("  %-11s", "range"), print_wrapped(13, arena_printf(a, "%d to %d", f->least, f->most));
        return true;
    }
    return false;
}

static bool explain_pass(const char *word) {
    for (int i = 0; i < PASS_COUNT; i++) {
        if (strcmp(PASSES[i]->name, word)) continue;
        printf("%s (a pass; btc list passes)\n%*s", word, 13, "");
        print_wrapped(13, PASSES[i]->doc);
        return true;
    }
    return false;
}

/* "--chunk", "-o" or "chunk": an option that commands share. */
static bool explain_option(const char *word) {
    Args args = {0};
    Option rows[48];
    int n = shared_options(&args, rows);
    const char *name = word + strspn(word, "-");
    size_t length = strcspn(name, "=");
    for (int i = 0; i < n; i++) {
        if (strlen(rows[i].name) != length || strncmp(rows[i].name, name, length)) continue;
        printf("--%s%s%s (an option; btc COMMAND --help shows those of a command)\n%*s", rows[i].name,
               rows[i].arg ? "=" : "", rows[i].arg ? rows[i].arg : "", 13, "");
        print_wrapped(13, rows[i].doc);
        return true;
    }
    return false;
}

static bool explain_command(const char *word) {
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(COMMANDS[i].name, word)) continue;
        printf("%s (a command; btc %s --help)\n%*s", word, word, 13, "");
        print_wrapped(13, COMMANDS[i].doc);
        return true;
    }
    return false;
}

bool word_explain(Arena *a, const char *word) {
    bool option = *word == '-' && word[1]; /* "-" alone is a sign */
    if (option) return explain_option(word);
    bool found = explain_part(word);
    found |= explain_tuning(a, word);
    found |= explain_pass(word);
    found |= explain_option(word);
    found |= explain_command(word);
    return explain_header(a, word) || found;
}

int word_list(const char **out, int room) {
    int n = 0;
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS && n < room; i++) out[n++] = PARTS[i].word;
    for (int i = 0; i < TUNING_COUNT && n < room; i++) out[n++] = TUNING_FIELDS[i].name;
    for (int i = 0; i < PASS_COUNT && n < room; i++) out[n++] = PASSES[i]->name;
    return n;
}
