/* Types that the files of this folder share while one description is read. */
#ifndef BTC_DESC_SCOPE_H
#define BTC_DESC_SCOPE_H

#include "desc/desc.h"
#include "desc/json.h"
#include "op.h"

enum { MAX_DIM_SIZE = 1 << 30, MAX_LAYERS = 4096 };

typedef struct Dim {
    const char *name;
    int64_t value;
} Dim;

/* A block of the description. It becomes a function when the first layer calls it: the types of its
 * parameters are those of the arguments. */
typedef struct BlockDesc {
    const char *name;
    const cJSON *node;
    const char *path;
    const char **in, **out;
    int nin, nout;
    Func *func;
    bool failed; /* messages are filed; calls stay silent */
} BlockDesc;

typedef struct Reader {
    Diag *diag;
    Arena *arena;
    Json json;
    const WeightSet *weights; /* or NULL */
    Module *module;
    Dim *dims;
    int ndims, dims_cap;
    BlockDesc *blocks;
    int nblocks, blocks_cap;
    int64_t context; /* 0: not given */
    int64_t layers;  /* called so far */
} Reader;

typedef struct Name {
    const char *name;
    Value *value; /* NULL: its statement is wrong, which has been said */
} Name;

/* The function that is being read. */
typedef struct Scope {
    Reader *r;
    Func *func;
    const char *prefix;      /* of weight names, in the first call */
    const cJSON *statements; /* all that are read into it, also those further down */
    Name *names;
    int nnames, names_cap;
    struct WeightUse {
        const char *name;
        Value *value;
    } * weights; /* one op per tensor, however often it is used */
    int nweights, weights_cap;
    struct ConstUse {
        double number;
        Value *value;
    } * consts;
    int nconsts, consts_cap;
} Scope;

/* ---- map.c ---- */
/* Whether compiled code, which computes in f32, can hold the number: it is neither too large nor nothing but
 * a denormal. false: filed. */
bool constant_fits(Diag *d, Loc loc, double v);

/* ---- scope.c ---- */
void scope_bind(Scope *s, const char *name, Value *v);
/* The latest value of that name. false: there is none (no message). *out may be NULL, see Name. */
bool scope_find(const Scope *s, const char *name, Value **out);
/* What to add to "unknown value": what was meant, over the values (and the dimensions), or why it is not
 * there yet. */
const char *scope_did_you_mean(const Scope *s, const char *name, bool dims);
/* One string or a list of them: names, each once. NULL: filed. */
const char **read_names(Reader *r, const cJSON *node, const char *path, int *n);

/* ---- block.c ---- */
/* What "blocks" holds, without its statements. */
void read_block_heads(Reader *r);
/* { "layers": N, .. } in `model`: reads the blocks that are new and adds the calls. */
void read_layers(Scope *s, const cJSON *node, const char *path);

/* ---- statement.c ---- */
void read_statement(Scope *s, const cJSON *node, const char *path);

/* ---- expr.c ---- */
/* A size: a number, a dimension, or arithmetic over them. */
bool read_size(Reader *r, const cJSON *node, const char *path, int64_t lo, int64_t hi, int64_t *out);
/* "@name[shape]", the whole string of node. NULL: filed. */
Value *read_weight(Scope *s, const cJSON *node, const char *path);

/* ---- formula.c ---- */
/* A formula in a string, as words (ir/formula.h). NULL: filed. */
const char *read_formula(Reader *r, const cJSON *node, const char *path);

/* ---- map.c ---- */
/* NULL: filed. out_name: for the last op. */
Value *read_map(Scope *s, const cJSON *node, const char *path, const char *out_name);
Value *scope_constant(Scope *s, double v, Loc loc);

#endif
