/* A model compiled with certain numbers, loaded and ready to be timed. Weights are packed once for every
 * layout that occurs and shared by all that have it: compiling again takes about a second. */
#ifndef BTC_TUNE_CANDIDATE_H
#define BTC_TUNE_CANDIDATE_H

#include "bench/runner.h"
#include "tune/tune_file.h"

/* Where candidates are made. */
typedef struct Workshop {
    Arena *a;
    Diag *d;
    const char *path; /* of the model */
    CompileOptions compile;
    ModelOptions model;
    int prompt, tokens, batch,
        threads;       /* of the runs; prompt 0: 256, or as many as the model's context has */
    LinkFolder folder; /* of packed weights */
    TuneModel of;      /* the model, once it was looked at */
    bool looked;       /* what there is to say about the model has been said */
} Workshop;

/* What of a model depends on its numbers: candidates with the same hash run the same. */
typedef enum RunKind { RUN_DECODE, RUN_PREFILL, RUN_KINDS } RunKind;
typedef struct Look {
    uint64_t code[RUN_KINDS];
    uint64_t layout; /* of the packed weights */
} Look;

/* Lives in its own arena and stays where it is: its parts point at each other. */
typedef struct Candidate {
    Arena *a;
    Tuning numbers;
    Look look;
    Diag d;
    Subject subject;
    Runner runner;
} Candidate;

bool workshop_open(Workshop *w);
void workshop_close(Workshop *w);
/* Removes the packed weights of a layout: they are as large as the model. Who has them open keeps them. */
void workshop_forget(Workshop *w, uint64_t layout);

/* The cost model's numbers (and --chunk) for what w compiles for, and that machine, in w's arena. */
bool workshop_numbers(Workshop *w, Tuning *cost_model, TargetInfo *target);
/* Lowers the model, which takes milliseconds. */
bool candidate_look(Workshop *w, const Tuning *numbers, Look *out);
/* Compiles, loads and runs it once. NULL: messages are filed. */
Candidate *candidate_open(Workshop *w, const Tuning *numbers, const Look *look);
/* Whether its products multiply f32 alone. */
bool candidate_is_exact(const Candidate *c);
void candidate_close(Candidate *c); /* NULL is allowed */

#endif
