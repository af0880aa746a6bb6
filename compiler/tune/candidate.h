/* A model compiled with certain parameters, loaded and ready to be timed. Weights are packed once for every
 * layout that occurs and shared by all candidates with that layout: compiling again takes about a second. */
#ifndef BTC_TUNE_CANDIDATE_H
#define BTC_TUNE_CANDIDATE_H

#include "bench/runner.h"
#include "tune/tune_file.h"

/* What all candidates of a model have in common. */
typedef struct Tuner {
    Arena *a;
    Diag *d;
    const char *path; /* of the model */
    CompileOptions compile;
    ModelOptions model;
    int prompt, tokens, batch,
        threads;       /* of the runs; prompt 0: 256, or as many as the model's context has */
    LinkFolder folder; /* of packed weights */
    TuneModel of;      /* the model, once it was described at */
    bool described;    /* what there is to say about the model has been said */
} Tuner;

/* What of a model depends on its parameters: candidates with equal keys run the same code. */
typedef enum RunKind { RUN_DECODE, RUN_PREFILL, RUN_KINDS } RunKind;
typedef struct CandidateKey {
    uint64_t code[RUN_KINDS];
    uint64_t layout; /* of the packed weights */
} CandidateKey;

/* Lives in its own arena and stays where it is: its parts point at each other. */
typedef struct Candidate {
    Arena *a;
    Tuning parameters;
    CandidateKey key;
    Diag d;
    Subject subject;
    Runner runner;
} Candidate;

bool tuner_open(Tuner *w);
void tuner_close(Tuner *w);
/* Removes the packed weights of a layout: they are as large as the model. A candidate that has them open keeps them. */
void tuner_forget(Tuner *w, uint64_t layout);

/* The cost model's parameters (and --chunk) for what w compiles for, and that machine, in w's arena. */
bool tuner_parameters(Tuner *w, Tuning *cost_model, TargetInfo *target);
/* Lowers the model, which takes milliseconds. */
bool candidate_key(Tuner *w, const Tuning *parameters, CandidateKey *out);
/* Compiles, loads and runs it once. NULL: messages are filed. */
Candidate *candidate_open(Tuner *w, const Tuning *parameters, const CandidateKey *key);
/* Whether its products multiply f32 alone. */
bool candidate_is_exact(const Candidate *c);
void candidate_close(Candidate *c); /* NULL is allowed */

#endif
