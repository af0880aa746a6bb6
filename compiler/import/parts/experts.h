/* Mixtures of experts: a router scores the experts for each token, and the outputs of the best ones are summed
 * with weights. Dims: E experts, EC chosen ones, EF their inner width, SF that of the shared expert, EL the outer
 * width of the experts, if it is not D. */
#ifndef BTC_IMPORT_EXPERTS_H
#define BTC_IMPORT_EXPERTS_H

#include "import/parts/mlp.h"

typedef enum RouterScores {
    SCORES_SOFTMAX, /* over all experts */
    SCORES_SIGMOID, /* of each expert on its own */
    SCORES_GIVEN,   /* the value `logits` holds them */
    SCORES_CHOSEN,  /* the products as they are; the weights are the softmax over the chosen ones */
} RouterScores;

/* Where experts lie in groups of one size, tokens use the best groups only. What makes a group good: */
typedef enum GroupScore {
    GROUP_BEST,     /* its largest score */
    GROUP_BEST_TWO, /* the sum of its two largest */
} GroupScore;

typedef struct Router {
    RouterScores scores;
    const char *module; /* of the product; NULL: the value `logits` is ready */
    const char *logits;
    bool bias;
    double softcap;         /* logits become cap * tanh(logits / cap); 0: they do not */
    const char *correction; /* a tensor [E] that is added to the scores for the choice alone, or NULL */
    const char *by;         /* a value [E] to choose by instead, or NULL */
    int64_t groups, kept;   /* kept: groups that a token uses; groups of 0 or 1 limit nothing */
    GroupScore group;
    bool normalize; /* the weights are divided by their sum, */
    double floor;   /* to which this is added */
    double scale;   /* a factor on the weights; 0: none */
    int64_t
        capacity; /* of each expert: only as many tokens of a sequence get what they choose, the first ones; 0: all */
} Router;

typedef struct Experts {
    int64_t count, chosen, width;
    Router router;
    const char *module; /* "mlp.experts" */
    const char *list;   /* stands before an expert's number; NULL: nothing */
    /* matrices of an expert: MODULE.3.NAME.weight; NULL: gate_proj, up_proj, down_proj */
    const char *gate, *up, *down;
    bool stacked;        /* instead, one tensor each holds those of all experts: NAME (and NAME_bias) */
    const char *gate_up; /* of these, one for both, gate's rows first, or NULL */
    bool by_turns;       /* but rows of gate and up alternate */
    bool transposed;     /* matrices are stored [in, out] */
    bool bias;
    const char *act;
    bool ungated;            /* no gate: act(up) */
    double limit;            /* > 0: gate and up are cut to it, and one is added to up */
    double slope;            /* > 0: act is gate * sigmoid(slope * gate) */
    double gate_cap, up_cap; /* > 0: gate, outside its sigmoid, and up become cap * tanh(x / cap) */
    int64_t latent;          /* > 0: experts go from this width to this width, */
    const char *into, *back; /* between two products, modules, */
    bool latent_bias;        /* that may have biases */
    Mlp shared;              /* an expert for all tokens; width 0: there is none */
    const char *shared_gate; /* module of a product that says how much of it, or NULL */
} Experts;

/* num_experts (num_local_experts, n_routed_experts), num_experts_per_tok (num_experts_per_token). What t holds before is
 * the default; 0: the key must be there. */
void cfg_experts(Cfg *c, Experts *t);
/* The keys with how many groups there are and how many of them a token uses; both are checked. Behind cfg_experts. */
void cfg_expert_groups(Cfg *c, const char *groups, const char *kept, Experts *t);
/* Whether the file has the matrices of all experts in one tensor, MODULE.gate_up_proj, as transformers has them in
 * memory; then t says so. prefix: of a layer that has experts. */
void experts_look(ImportCtx *x, const char *prefix, Experts *t);
/* "p" [EC] and "expert" [EC] from `in`: weights and indices. */
void st_router(ImportCtx *x, cJSON *ops, const char *in, const Experts *t);
/* out = sum of the chosen experts' results (and the shared one's), from D to D. */
void st_experts(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Experts *t);

#endif
