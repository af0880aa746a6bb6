/* Importers turn checkpoints of other projects into descriptions (docs/description.md).
 *
 * An importer is one file with one `const Importer` and a row in importers.def. It reads the configuration with the
 * cfg_ functions, which record every key; a key that was not read is an error that names it, unless generic.c lists
 * it as harmless. It writes statements from templates (st). The check of the weights reports tensors that are
 * missing or unused. What architectures share is in parts/, a header for each subject. */
#ifndef BTC_IMPORT_H
#define BTC_IMPORT_H

#include "desc/json.h"
#include "weights/weights.h"

/* The description (JSON text) of the checkpoint at `path`: a folder or a weights file; `w` holds its opened
 * weights; a config.json beside them is read. NULL: messages are filed. */
typedef struct ImportOptions {
    const char *arch;       /* an importer's name, an architecture, a model_type, or NULL to find out */
    const char *describe;   /* a description bound to the configuration, in place of an importer, or NULL */
    const char *weights_as; /* what to write under "weights"; NULL: path */
} ImportOptions;
char *import_model(Diag *d, Arena *a, const char *path, const WeightSet *w, const ImportOptions *o);

/* ---- what an importer sees ---- */

/* One object of the configuration. */
typedef struct Cfg {
    struct ImportCtx *ctx;
    const cJSON *node; /* NULL: there is none, every key is absent */
    const char *path;  /* "" or "rope_parameters" */
    const char **seen;
    int nseen, seen_cap;
} Cfg;

typedef struct ImportCtx {
    Diag *d;
    Arena *a;
    Json json;       /* config.json; json.root NULL: there is none */
    Cfg cfg;         /* its top level */
    Json generation; /* generation_config.json, likewise */
    const WeightSet *w;
    const char *arch; /* as the user or the configuration says, or "" */
    const char *path;
    cJSON *model; /* the description, from model_new on */
    int errors;   /* filed before */
} ImportCtx;

typedef struct Importer {
    const char *name;
    const char *doc;
    const char *accepts;    /* architectures and model types, separated by blanks */
    const char *recurrence; /* what kind of state its layers keep between tokens */
    const char *cases;      /* the conformance cases that hold it, separated by blanks */
    /* For checkpoints whose configuration does not say what they are. */
    bool (*recognise)(const ImportCtx *x);
    /* The description as an object, without "weights". NULL (or errors filed): it cannot be. */
    cJSON *(*import)(ImportCtx *x);
} Importer;

#define IMPORTER(id) extern const Importer importer_##id;
#include "importers.def"
#undef IMPORTER
extern const Importer *const IMPORTERS[];
extern const int IMPORTER_COUNT;

/* ---- unknown.c: architectures without an importer ---- */
/* Small letters and digits of a name. */
char *import_bare_name(Arena *a, const char *name);
/* The first word of a list, separated by blanks, for which `is` holds, or NULL. */
const char *import_find_word(Arena *a, const char *list, bool (*is)(void *user, const char *word),
                             void *user);
/* The row of the table of such architectures for a name, and the word of it that counted; -1: none. */
int import_find_other(Arena *a, const char *arch, const char **word);
/* What to do with a checkpoint that no importer reads: a note. arch: its name, or "". */
void import_way_out(ImportCtx *x, const char *arch);

/* ---- bind.c ---- */
/* The description in `file` with the values of the checkpoint's configuration, without "weights". NULL (or
 * errors filed): it cannot be. */
cJSON *import_bound(ImportCtx *x, const char *file);

/* ---- config.c: reading the configuration ---- */
/* Absent and null count as the same. Without a default (REQUIRED) an absent key is an error. */
#define REQUIRED INT64_MIN
enum { MAX_LAYERS = 4096 };
int64_t cfg_int(Cfg *c, const char *key, int64_t otherwise);  /* 0 .. 2^31 */
int64_t cfg_size(Cfg *c, const char *key, int64_t otherwise); /* the same, at least 1 */
/* The same, at most MAX_LAYERS, and as many as the checkpoint holds: the tensors of layer i begin with prefix i. */
int64_t cfg_layers(Cfg *c, const char *key, int64_t otherwise, const char *prefix);
/* The same; the checkpoint may hold `more` layers after them that are not part of the model. */
int64_t cfg_first_layers(Cfg *c, const char *key, int64_t otherwise, const char *prefix, int64_t more);
/* A number that f32 can hold; range: as in AttrDef, or NULL. Where it is wrong: 2. */
double cfg_float(Cfg *c, const char *key, double otherwise, const char *range);
bool cfg_bool(Cfg *c, const char *key, bool otherwise);
const char *cfg_str(Cfg *c, const char *key, const char *otherwise);
const cJSON *cfg_list(Cfg *c, const char *key); /* NULL: absent */
/* The number at `index` of a list that cfg_list gave; may be infinite, in all spellings of that,
 * or NaN. */
double cfg_item(Cfg *c, const char *key, const cJSON *list, int index);
/* The n numbers of a list; absent: all `otherwise`. */
const double *cfg_floats(Cfg *c, const char *key, int n, double otherwise);
const cJSON *cfg_any(Cfg *c, const char *key); /* any value; NULL: absent or null */
bool cfg_has(const Cfg *c, const char *key);   /* present and not null; does not count as read */
void cfg_skip(Cfg *c, const char *key);        /* counts as read */
void cfg_skip_all(Cfg *c, const char *keys);   /* several, separated by blanks */
Cfg cfg_sub(Cfg *c, const char *key);          /* an object inside; node NULL when absent */
/* Only this value is supported. why: for the message. */
void cfg_only_int(Cfg *c, const char *key, int64_t value, int64_t otherwise);
void cfg_only_float(Cfg *c, const char *key, double value, double otherwise);
void cfg_only_bool(Cfg *c, const char *key, bool value, bool otherwise);
bool cfg_error(Cfg *c, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* An error for every key that nobody read and that is not known to be harmless. */
void cfg_done(Cfg *c);
/* The elementwise function of an activation's name ("gelu_pytorch_tanh" -> "gelu_tanh"). */
const char *cfg_act(Cfg *c, const char *key, const char *otherwise);

/* ---- generic.c: writing the description ---- */
/* { "btc": 1, "name": .., "dims": {..}, "input": {"tokens": "V"}, "blocks": {}, "model": [] } */
/* The last step: `weights`, and parts of the frame that are empty are left out. */
void model_finish(cJSON *m, const char *weights);
cJSON *model_new(ImportCtx *x, const char *input); /* input: "tokens" or "features" */
/* Again with the same size: nothing. Parts that share a name have to mean the same. */
void model_dim(cJSON *m, const char *name, int64_t size);
void model_comment(cJSON *m, const char *text); /* one more line */
void model_set(cJSON *m, const char *key, const char *json, ...) __attribute__((format(printf, 3, 4)));
int64_t model_size(const cJSON *m, const char *dim); /* 0: there is no such dimension */
void model_ignore(cJSON *m, const char *pattern);    /* tensors that no statement uses */
/* Tensors of the file that the original does not read either: ignored, with a warning that says why. */
void model_unused(ImportCtx *x, cJSON *m, const char *pattern, const char *why);
cJSON *model_ops(cJSON *m); /* the list "model" */
/* A new block; in, out: lists as JSON text ("['x']"), NULL: default. Returns its list of statements. */
cJSON *block_new(cJSON *m, const char *name, const char *in, const char *out);
/* Adds a statement, written as JSON with ' for ". */
void st(cJSON *ops, const char *json, ...) __attribute__((format(printf, 2, 3)));
/* The same with the names of a part (parts/): @~ begins its tensors' names, with `module` and a dot if there is one;
 * $ ends the names of its dims, with `tag` if there is one, where blocks of one model differ in size. */
void st_part(cJSON *ops, const char *module, const char *tag, const char *json, ...)
    __attribute__((format(printf, 4, 5)));
/* out = linear(x, @tensor.weight[o, i] (, @tensor.bias[o])) */
void st_linear(cJSON *ops, const char *out, const char *x, const char *tensor, const char *o, const char *i,
               bool bias);
/* The same with matrices stored [i, o]. */
void st_linear_transposed(cJSON *ops, const char *out, const char *x, const char *tensor, const char *o,
                          const char *i, bool bias);
void st_layers(cJSON *m, int64_t n, const char *pattern, const char *prefix);

/* ---- tied.c ---- */
/* The tensors of a language model's embedding table and head. */
typedef struct Tied {
    const char *table, *head;
} Tied;
/* tied: what the key `flag` of the configuration says (NULL: there is none, and the original always ties).
 * Whichever of the two the file holds serves for both; a head that differs from the embedding is used, with a
 * warning. */
Tied tied_tables(ImportCtx *x, cJSON *m, bool tied, const char *flag, const char *embedding,
                 const char *head);
/* Tensors that begin with `copy` and are those that begin with `kept` once more: ignored. They must not differ. */
void tied_copies(ImportCtx *x, const char *kept, const char *copy);
/* The rows of the tables of a model whose vocab_size was padded: at least vocab_size, which is read. */
int64_t table_rows(ImportCtx *x, const char *embedding, const char *head);

/* ---- ids.c ---- */
void model_ids(ImportCtx *x, cJSON *m); /* "bos" and "eos", which must be ids below the dimension V */

bool has_tensor(const ImportCtx *x, const char *name);
/* Dimension `axis` of a tensor that must be there (an error and 1 otherwise). Negative: from the end. */
int64_t tensor_dim(ImportCtx *x, const char *name, int axis);
/* 1 + the largest number in the place of # in the names "blocks.#.": how many layers. */
int64_t count_layers(const ImportCtx *x, const char *prefix);
/* Whether something was wrong so far. Asked before writing: sizes are not to be trusted then. */
bool import_failed(const ImportCtx *x);
bool import_error(ImportCtx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
